"""Names in a sentence: a few of them, and that there are more."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["some_of"]

_SHOWN = 3


def some_of(names: Collection[str], between: str = ", ") -> str:
    """The first three: "a, b, c, …"."""
    return between.join(list(names)[:_SHOWN]) + ", …" * (len(names) > _SHOWN)
