"""Makes what a training had made on its way, and a run that goes on from its checkpoint has not."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.nn import Module

from lab_adapters.outlined.carried import Carried, unbound
from lab_adapters.outlined.instances import attributes_of
from lab_adapters.outlined.kinds import container_kind, entries_of, name_of
from lab_adapters.outlined.packing import MISSING, every
from lab_adapters.outlined.parts import is_of_parts
from lab_adapters.outlined.slot import Slot, put
from lab_adapters.outlined.standing import tensor_at
from lab_adapters.outlined.structures import homes_of, put_structure
from lab_adapters.outlined.unpacking import Unpacking

__all__ = ["make_late"]


def make_late(
    carried: Carried,
    bodies: list[Any],
    state: Mapping[str, Any],
    structures: Mapping[str, Any],
    reached: Callable[[], Collection[str]],
    only: Mapping[str, Any] | None = None,
) -> set[str]:
    """Make the models, optimizers and schedules that carried values hold and the program lacks, and put them there.

    Their tensors have no numbers yet: the names of those by which a model's state has them are returned. `structures`
    are the tensors and children of parts that are there, `reached` tells the names of all tensors that can be loaded.
    `only` are values of an earlier time, of which those that are the same objects are made, as far as that goes. Raises
    `KeyError` where the loop's names do not lead to a model that would have been loaded.
    """
    if only is not None and not only:
        return set()
    children = [packed for one in structures.values() for packed in one.values()]
    numbered = {one["number"]: one for one in every([*state.values(), *children]) if "number" in one}
    wanted = {
        path: packed
        for path, packed in state.items()
        if (only is None or (path in only and _is_the_same(only[path], packed)))
        and any("parts" in one for one in _met(packed, numbered))
    }
    if not wanted and not structures:
        return set()
    there, walk = carried.places_of(bodies, state)
    blanks: dict[str, Tensor] = {}
    unpacking = Unpacking(
        homes_of(walk.owners),
        {},
        walk.owners,
        walk.containers.there,
        blanks=blanks,
        numbered=numbered,
        standing=functools.partial(tensor_at, there),
        filled=walk.containers.unchanged(state.__contains__),
    )
    for path, structure in structures.items():
        if isinstance(part := walk.owners.get(path), Module):
            put_structure(part, structure, unpacking.unpack)
    before = []
    for path, packed in wanted.items():
        slot = there.get(path) or unbound(path, bodies, walk.owners)
        if slot is not None and _lacks(packed, slot.get(), numbered, carried.was_there):
            value = unpacking.unpack(packed, slot.get(), path)
            if value is not MISSING:
                before.append((slot, slot.get()))
                put(slot, value)
    carried.made_late |= unpacking.tensors_made()
    if only is None:
        _put_known(state, there, walk.owners)
    missing = blanks and blanks.keys() - set(reached())
    if missing and only is None:
        raise KeyError(
            f"checkpoint: expected {', '.join(sorted(missing))[:200]} in the loop's scope, found no such model; "
            "resume from a checkpoint before the training itself makes it"
        )
    for slot, value in before if missing else ():
        put(slot, value)
    return set() if missing else set(blanks)


def _put_known(state: Mapping[str, Any], there: Mapping[str, Slot], owners: Mapping[str, Any]) -> None:
    """What is there, and known by another name by then, must be found when the models are loaded."""
    for path, packed in state.items():
        one = owners.get(packed["value"]) if isinstance(packed, dict) and packed["kind"] == "object" else None
        if is_of_parts(one) and "attributes" not in packed and path in there and there[path].get() is not one:
            put(there[path], one)


def _is_the_same(earlier: Any, packed: Any) -> bool:
    """Whether an object was that of then, by its class and path; containers are."""
    kinds = {one["kind"] if isinstance(one, dict) else "" for one in (earlier, packed)}
    told = ("class", "value")
    return "object" not in kinds or (kinds == {"object"} and all(earlier[name] == packed[name] for name in told))


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


def _lacks(
    packed: Any,
    there: Any,
    numbered: Mapping[int, Any],
    was_there: Callable[[Any], bool],
    seen: frozenset[int] = frozenset(),
) -> bool:
    """Whether a model, an optimizer or a schedule that the packed value holds is not where it was.

    What the program has made before the training is another one.
    """
    if not isinstance(packed, dict):
        return False
    if packed["kind"] == "again":
        number = packed["value"]
        if number in seen or number not in numbered:
            return False
        return _lacks(numbered[number], there, numbered, was_there, seen | {number})
    if packed["kind"] == "object":
        same = there is not None and name_of(there) == packed["class"]
        if "parts" in packed or not same:
            same = same and not was_there(there)
            return not same and any("parts" in one for one in _met(packed, numbered))
        own = attributes_of(there)
        return any(_lacks(one, own.get(name), numbered, was_there, seen) for name, one in packed.get("attributes", ()))
    value = packed["value"]
    if not isinstance(value, list):
        return False
    entries = entries_of(there) if container_kind(there) is not None else []
    if packed["kind"] in ("dict", "weak"):
        known = dict(entries) if isinstance(there, dict) else {}
        pairs = [(inner, known.get(key) if isinstance(key, str | int) else None) for key, inner in value]
        return any(_lacks(inner, one, numbered, was_there, seen) for inner, one in pairs)
    entries += [None] * (len(value) - len(entries))
    return any(_lacks(inner, one, numbered, was_there, seen) for inner, one in zip(value, entries, strict=False))
