"""What an optimizer lists: each parameter once, and the state that it keeps of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

__all__ = ["once", "slots_of"]


def once(listed: list[list[Tensor]], given: list[str | None]) -> tuple[list[list[Tensor]], list[str | None]]:
    """Each tensor where it comes first, and the names that the program gave those."""
    met: set[int] = set()
    names = iter(given)
    parts: list[list[Tensor]] = []
    kept: list[str | None] = []
    for part in listed:
        parts.append([])
        for tensor, name in zip(part, names, strict=False):
            if id(tensor) not in met:
                met.add(id(tensor))
                parts[-1].append(tensor)
                kept.append(name)
    return parts, kept


def slots_of(
    state: Mapping[Any, Any], tensors: Sequence[Tensor], names: Sequence[str], given: Sequence[str | None]
) -> dict[str, Mapping[str, Any]]:
    """The state of each parameter, which an optimizer keeps by the parameter, or by the name that it gave it."""
    slots: dict[str, Mapping[str, Any]] = {}
    for tensor, name, own in zip(tensors, names, given, strict=True):
        entry = state.get(tensor)
        if entry is None and own is not None:
            entry = state.get(own)
        if isinstance(entry, Mapping):
            slots[name] = entry
    return slots
