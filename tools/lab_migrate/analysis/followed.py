"""What functions lead to, from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from lab_migrate.analysis.symbols import Function

__all__ = ["followed"]


def followed(function: Function, leads_to: Callable[[Function], Iterable[Function]]) -> Iterator[Function]:
    """A function, and all that it leads to however far, each once."""
    seen: set[int] = set()
    queue = [function]
    while queue:
        one = queue.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            queue += leads_to(one)
