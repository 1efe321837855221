"""The paths under which a program's objects were met first; later searches call them so again."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs

__all__ = ["Known"]


@attrs.define(eq=False)
class Known:
    """Objects that a run which goes on has, too: code before the outermost loop makes them."""

    _paths: dict[int, tuple[Callable[[], Any], str]] = attrs.field(factory=dict)
    _noted: bool = False

    def path_of(self, value: Any) -> str | None:
        """The one under which it is known."""
        there, path = self._paths.get(id(value), (None, ""))
        return path if there is not None and there() is value else None

    def claimed(self, values: Collection[Any]) -> dict[str, int]:
        """The paths of those of them that are known, and their identities."""
        return {path: id(value) for value in values if (path := self.path_of(value)) is not None}

    def note(self, owners: Mapping[str, Any]) -> bool:
        """A loop begins: know those that are there when the outermost does, which is then true."""
        if self._noted:
            return False
        self._noted = True
        for path, owner in owners.items():
            try:
                there: Callable[[], Any] = weakref.ref(owner)
            except TypeError:
                # Held for good, which is only for what lives as long as the program.
                there = functools.partial(_itself, owner)
            self._paths[id(owner)] = (there, path)
        return True


def _itself(owner: Any) -> Any:
    return owner
