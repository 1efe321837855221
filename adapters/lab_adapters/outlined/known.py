"""The paths under which a program's objects were met first; later searches call them so again."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Known"]


class Known:
    """The paths of objects. Those that come later are known as long as they are there, if they have weak references."""

    def __init__(self) -> None:
        self._paths: dict[int, tuple[Callable[[], Any], str]] = {}

    def path_of(self, value: Any, path: str) -> str:
        """The one under which it is known, else this one."""
        ref, known = self._paths.get(id(value), (None, path))
        return known if ref is not None and ref() is value else path

    def note(self, owners: Mapping[str, Any]) -> None:
        """Know those that are new."""
        first = not self._paths
        for path, owner in owners.items():
            if self.path_of(owner, "") == "":
                try:
                    self._paths[id(owner)] = (weakref.ref(owner), path)
                except TypeError:
                    if first:
                        self._paths[id(owner)] = (functools.partial(_itself, owner), path)


def _itself(owner: Any) -> Any:
    return owner
