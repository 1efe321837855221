"""The paths under which a program's objects were met first; later searches call them so again."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs

__all__ = ["Known"]

Paths = dict[int, tuple[Callable[[], Any], str]]


@attrs.define(eq=False)
class Known:
    """Objects that a run which goes on has, too: code outside the loops, or before the one that runs, makes them."""

    _first: Paths = attrs.field(factory=dict)
    #: Made since the iteration around began.
    _since: Paths = attrs.field(factory=dict)

    def path_of(self, value: Any) -> str | None:
        """The one under which it is known."""
        for paths in (self._first, self._since):
            there, path = paths.get(id(value), (None, ""))
            if there is not None and there() is value:
                return path
        return None

    def claimed(self, values: Collection[Any]) -> dict[str, int]:
        """The paths of those of them that are known, and their identities."""
        return {path: id(value) for value in values if (path := self.path_of(value)) is not None}

    def note(self, owners: Mapping[str, Any]) -> None:
        """A loop begins: know those that are new."""
        first = not self._first
        for path, owner in owners.items():
            if self.path_of(owner) is not None:
                continue
            try:
                there: Callable[[], Any] = weakref.ref(owner)
            except TypeError:
                # Held for good, which is only for what lives as long as the program.
                there = functools.partial(_itself, owner)
                if not first:
                    continue
            (self._first if first else self._since)[id(owner)] = (there, path)

    def iterate(self) -> None:
        """An iteration around the loops begins: what those before it made is nothing that another run has."""
        self._since.clear()


def _itself(owner: Any) -> Any:
    return owner
