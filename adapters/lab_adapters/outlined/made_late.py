"""Makes what a training had made on its way, and a run that goes on from its checkpoint has not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.nn import Module

from lab_adapters.outlined.carried import Carried, put, unbound
from lab_adapters.outlined.instances import attributes_of
from lab_adapters.outlined.kinds import container_kind, entries_of, name_of
from lab_adapters.outlined.packing import MISSING, every
from lab_adapters.outlined.structures import homes_of, put_structure
from lab_adapters.outlined.unpacking import Unpacking

__all__ = ["make_late"]


def make_late(
    carried: Carried,
    bodies: list[Any],
    state: Mapping[str, Any],
    structures: Mapping[str, Any],
    only: Collection[str] | None = None,
) -> set[str]:
    """Make the models, optimizers and schedules that carried values hold and the program lacks, and put them there.

    Their tensors have no numbers yet: the names of those by which a model's state has them are returned. `structures`
    are the tensors and children of parts that are there; `only` the paths of the values, of all without.
    """
    if only is not None and not only:
        return set()
    children = [packed for one in structures.values() for packed in one.values()]
    numbered = {one["number"]: one for one in every([*state.values(), *children]) if "number" in one}
    wanted = {
        path: packed
        for path, packed in state.items()
        if (only is None or path in only) and any("parts" in one for one in _met(packed, numbered))
    }
    if not wanted and not structures:
        return set()
    there, walk = carried.places_of(bodies, state)
    blanks: dict[str, Tensor] = {}
    unpacking = Unpacking(
        homes_of(walk.owners), {}, walk.owners, walk.containers.there, blanks=blanks, numbered=numbered
    )
    for path, structure in structures.items():
        if isinstance(part := walk.owners.get(path), Module):
            put_structure(part, structure, unpacking.unpack)
    for path, packed in wanted.items():
        slot = there.get(path) or unbound(path, bodies, walk.owners)
        if slot is not None and _lacks(packed, slot.get(), numbered):
            value = unpacking.unpack(packed, slot.get(), path)
            if value is not MISSING:
                put(slot, value)
    return set(blanks)


def _met(packed: Any, numbered: Mapping[int, Any]) -> Iterator[dict[str, Any]]:
    """The same, and what of it lies elsewhere."""
    seen: set[int] = set()
    left = [packed]
    while left:
        for one in every(left.pop()):
            yield one
            if one["kind"] == "again" and one["value"] not in seen and one["value"] in numbered:
                seen.add(one["value"])
                left.append(numbered[one["value"]])


def _lacks(packed: Any, there: Any, numbered: Mapping[int, Any], seen: frozenset[int] = frozenset()) -> bool:
    """Whether a model, an optimizer or a schedule that the packed value holds is not where it was."""
    if not isinstance(packed, dict):
        return False
    if packed["kind"] == "again":
        number = packed["value"]
        if number in seen or number not in numbered:
            return False
        return _lacks(numbered[number], there, numbered, seen | {number})
    if packed["kind"] == "object":
        same = there is not None and name_of(there) == packed["class"]
        if "parts" in packed or not same:
            return not same and any("parts" in one for one in _met(packed, numbered))
        own = attributes_of(there)
        return any(_lacks(inner, own.get(name), numbered, seen) for name, inner in packed.get("attributes", ()))
    value = packed["value"]
    if not isinstance(value, list):
        return False
    entries = entries_of(there) if container_kind(there) is not None else []
    if packed["kind"] == "dict":
        known = dict(entries) if isinstance(there, dict) else {}
        pairs = [(inner, known.get(key) if isinstance(key, str | int) else None) for key, inner in value]
        return any(_lacks(inner, one, numbered, seen) for inner, one in pairs)
    entries += [None] * (len(value) - len(entries))
    return any(_lacks(inner, one, numbered, seen) for inner, one in zip(value, entries, strict=False))
