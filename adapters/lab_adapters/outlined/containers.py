"""Where the program's lists, dictionaries, sets and deques stand: a loop may bind a name to another of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Containers"]

_FILLED = (list, dict, set, deque)


class Containers:
    """Those that are met on a walk, under every path that leads to them."""

    def __init__(self) -> None:
        #: path -> container
        self.there: dict[str, Any] = {}
        #: path -> path of the slot from which it is reached
        self._roots: dict[str, str] = {}
        #: The same for the entries of what is known by a path, and was met at another one.
        self._met: dict[str, str] = {}
        self._paths: dict[int, list[str]] = {}

    def note(self, path: str, value: Any, holder: str | None = None) -> None:
        """`value` stands at `path`, among the entries of what stands at `holder`, if any."""
        root = path if holder is None else self._met.get(holder, self._roots.get(holder, holder))
        self._roots.setdefault(path, root)
        if isinstance(value, _FILLED) and path not in self.there:
            self.there[path] = value
            self._paths.setdefault(id(value), []).append(path)

    def renamed(self, path: str, known: str) -> None:
        """What was met at `path` has the path `known`."""
        if known != path:
            self._met.setdefault(known, self._roots.get(path, path))

    def path_of(self, value: Any, has_changed: Callable[[str], bool]) -> str | None:
        """Where a run that goes on has the same one: below a slot that the training has not changed."""
        return next((path for path in self._paths.get(id(value), ()) if not has_changed(self._roots[path])), None)

    def unchanged(self, has_changed: Callable[[str], bool]) -> set[int]:
        """Identities of those that the training has left as they are: what it put in their place is another one."""
        return {one for one, paths in self._paths.items() if not all(has_changed(self._roots[path]) for path in paths)}
