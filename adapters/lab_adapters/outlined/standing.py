"""Where tensors stand that the program made before its training, and that are still there.

An optimizer that the training makes later, and a container that it fills, may hold them, too: a run that goes on finds
them where they stand, and makes no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

from lab_adapters.outlined.kinds import LARGE, container_kind, entries_of
from lab_adapters.outlined.marks import TensorMark
from lab_adapters.outlined.slot import Slot

__all__ = ["standing", "tensor_at"]

#: Containers in containers are looked into this far.
_DEEPEST = 8


def standing(found: Iterable[tuple[Slot, Any]], before: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """What tells a tensor, by identity: the slot that held it before the training and holds it now, and where in it."""
    told: dict[int, dict[str, Any]] = {}
    for slot, value in found:
        for tensor, at in _same(value, before.get(slot.path), ()):
            told.setdefault(id(tensor), {"slot": slot.path, **({"at": list(at)} if at else {})})
    return told


def tensor_at(there: Mapping[str, Slot], told: Mapping[str, Any]) -> Tensor | None:
    """The tensor that stands there in this run."""
    slot = there.get(told["slot"])
    value = slot.get() if slot is not None else None
    for at in told.get("at", ()):
        entries = entries_of(value) if container_kind(value) is not None else []
        if at >= len(entries):
            return None
        value = entries[at][1] if isinstance(value, dict) else entries[at]
    return value if isinstance(value, Tensor) else None


def _same(value: Any, mark: Any, at: tuple[int, ...]) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
    if isinstance(mark, TensorMark):
        if isinstance(value, Tensor) and mark.ref() is value:
            yield value, at
        return
    entered = isinstance(mark, tuple) and len(mark) == 3 and mark[0] == "container" and isinstance(mark[2], tuple)
    if not entered or container_kind(value) in (None, "set", "frozenset") or len(at) >= _DEEPEST:
        return
    entries = entries_of(value)
    if len(entries) != len(mark[2]) or len(entries) > LARGE:
        return
    for place, (entry, made) in enumerate(zip(entries, mark[2], strict=True)):
        if isinstance(value, dict):
            yield from _same(entry[1], made[1], (*at, place))
        else:
            yield from _same(entry, made, (*at, place))
