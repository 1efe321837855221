"""Small values and generators of the program's own, kept wherever a loop, an epoch or a call begins or ends.

The beginning of an epoch runs once more on resume. Where it loads the next part of a data set, draws an order from a
generator of the program's own or iterates over a sampler that counts its epochs, it must find what it found then.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from lab_adapters.outlined.carried import Carried, places_of, slots, unbound
from lab_adapters.outlined.packing import GENERATORS, MISSING, PLAIN, Packing, Unpacking

__all__ = ["held_by", "is_small", "put_held"]

#: Entries of a value that is kept, at most: of an array, and of a container, which takes longer to look through.
LARGEST_ARRAY, LARGEST = 10_000, 1_000


def held_by(bodies: list[Any], carried: Carried) -> dict[str, Any]:
    """Path -> value of all that is small and has changed since the training began; tensors and arrays of data are not.

    A value whose name is new counts as changed.
    """
    packing = Packing()
    found = {
        slot.path: packing.pack(value)
        for slot in slots(bodies)
        if is_small(value := slot.get()) and carried.has_changed(slot.path, value)
    }
    return {path: packed for path, packed in found.items() if packed is not MISSING}


def put_held(bodies: list[Any], held: dict[str, Any]) -> None:
    """Put it back; containers and generators keep their identity."""
    if not held:
        return
    unpacking = Unpacking()
    there, owners = places_of(bodies, held)
    for path, packed in held.items():
        slot = there.get(path) or unbound(path, bodies, owners)
        if slot is not None:
            value = unpacking.unpack(packed, slot.get(), path)
            if value is not slot.get():
                slot.put(value)


def is_small(value: Any) -> bool:
    """Whether it is quickly kept: plain values, generators, and not too many of them."""
    if isinstance(value, np.ndarray):
        return value.size <= LARGEST_ARRAY
    if isinstance(value, dict):
        return len(value) <= LARGEST and all(map(is_small, value)) and all(map(is_small, value.values()))
    if isinstance(value, list | tuple | set | deque):
        return len(value) <= LARGEST and all(map(is_small, value))
    return isinstance(value, (*PLAIN, np.generic, *GENERATORS))
