"""What a loop's body does to the item that it is at, put back on resume.

An item may be an object of the program's own (a step that holds its batch), in which the body leaves its loss for the
generator that made it.
"""

from __future__ import annotations

import contextlib
import copy
import types
import weakref
from typing import Any

import torch

from lab_adapters.outlined.names import is_own_class
from lab_adapters.outlined.plain_values import changed_names, is_plain

__all__ = ["Item"]

#: A longer tuple or list is data, and not several objects.
_MOST = 16


class Item:
    """An item of a loop, by the objects of the program's own that it is or holds; it keeps none of them."""

    def __init__(self, item: Any = None) -> None:
        self._objects: dict[int, tuple[weakref.ref[Any], dict[str, Any]]] = {}
        for at, one in enumerate(item if type(item) in (tuple, list) and len(item) <= _MOST else (item,)):
            if _is_own(one):
                with contextlib.suppress(TypeError):
                    self._objects[at] = weakref.ref(one), _attributes(one)

    def changed(self) -> dict[int, dict[str, Any]]:
        """Plain attributes that are other ones than when the loop came to it."""
        return {
            at: changed_names([before], [_attributes(one)])[0]
            for at, (known, before) in self._objects.items()
            if (one := known()) is not None
        }

    def put(self, kept: dict[int, dict[str, Any]]) -> None:
        """Make them so again."""
        for at, values in kept.items():
            one = self._objects[at][0]() if at in self._objects else None
            if one is not None:
                vars(one).update(values)


def _is_own(value: Any) -> bool:
    return (
        not isinstance(value, type | types.ModuleType | torch.Tensor | torch.nn.Module)
        and type(getattr(value, "__dict__", None)) is dict
        and is_own_class(type(value))
    )


def _attributes(value: Any) -> dict[str, Any]:
    return {name: copy.deepcopy(one) for name, one in vars(value).items() if is_plain(one)}
