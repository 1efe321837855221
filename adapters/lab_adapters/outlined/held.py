"""Small values and generators of the program's own, kept wherever a loop, an epoch or a call begins or ends.

The beginning of an epoch runs once more on resume. Where it loads the next part of a data set, draws an order from a
generator of the program's own or iterates over a sampler that counts its epochs, it must find what it found then.
"""

from __future__ import annotations

import dis
import functools
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from lab_adapters.outlined.carried import Carried, unbound
from lab_adapters.outlined.forms import PLAIN, form_of
from lab_adapters.outlined.kinds import leaves_of
from lab_adapters.outlined.names import holds_what_is_given
from lab_adapters.outlined.own_generators import GENERATORS
from lab_adapters.outlined.packing import Packing
from lab_adapters.outlined.slot import put
from lab_adapters.outlined.slots import MOST
from lab_adapters.outlined.unpacking import Unpacking

__all__ = ["held_by", "is_small", "put_held", "say_not_held", "say_not_seen", "say_nowhere"]

#: Entries of a value that is kept, at most: of an array, and of a container, which takes longer to look through.
LARGEST_ARRAY, LARGEST = 10_000, 1_000


def held_by(bodies: list[Any], carried: Carried, also: Collection[str] = ()) -> dict[str, Any]:
    """Path -> value of all that is small and has changed since the training began; tensors and arrays of data are not.

    A value whose name is new counts as changed, and so do those of the paths `also`, which are put somewhere before.
    Of an object it is kept which one it is, of those that were there.
    """
    found, walk = carried.places_of(bodies, {})

    def has_changed(path: str) -> bool:
        return path in also or carried.has_changed(path, found[path].get())

    packing = Packing(
        objects={id(one): path for path, one in reversed(walk.owners.items())},
        was_there=functools.partial(_is_told_by_its_path, carried),
        stands_at=functools.partial(walk.containers.path_of, has_changed=has_changed),
    )
    held = {}
    for path, slot in found.items():
        value = slot.get()
        small = is_small(value)
        if (small or id(value) in packing.objects) and has_changed(path):
            packed = packing.pack(value)
            if not packing.left or (not small and packed["kind"] == "object"):
                held[path] = packed
            else:
                packing.forget()
    return held


def put_held(bodies: list[Any], carried: Carried, held: dict[str, Any]) -> None:
    """Put it back; containers and generators keep their identity."""
    if not held:
        return
    there, walk = carried.places_of(bodies, held)
    owners = walk.owners
    unpacking = Unpacking(objects=owners, containers=walk.containers.there)
    for path, packed in held.items():
        slot = there.get(path) or unbound(path, bodies, owners)
        of_object = isinstance(packed, dict) and packed["kind"] == "object"
        # What the code that follows makes itself is not there yet.
        made = of_object and not packed.keys().isdisjoint(("attributes", "partial"))
        if slot is not None and (not of_object or packed["value"] in owners or made):
            # What a `partial` holds cannot be assigned: it is made anew with it.
            put(slot, unpacking.unpack(packed, slot.get(), path))


def say_not_held(body: Any, name: str, held: Mapping[str, Any], carried: Mapping[str, Any]) -> None:
    """Warn of what was too large to be held, and is named by a body's code before its first inner loop.

    `carried` are packed values that had changed when the checkpoint was written. Tensors are told of as they are read.
    """
    names = _named_first(body)
    for path, packed in carried.items():
        large = isinstance(packed, dict) and packed["kind"] in ("array", "list", "tuple", "set", "deque", "dict")
        if large and path not in held and re.split(r"[.:\[\]']+", path.rstrip("]'"))[-1] in names:
            warnings.warn(
                f"resume: the beginning of {name} names {path}, which is too large to be held for it and is "
                "as the program made it: what this code computes of it is different; mark the body with "
                "@outlined.reads_models, and resume from a checkpoint written since",
                stacklevel=2,
            )


def say_nowhere(paths: Sequence[str]) -> None:
    """Warn of carried values that the program has no place for, where it goes on."""
    if paths:
        warnings.warn(
            f"resume: {', '.join(paths)}: the checkpoint has a value, and the program no such name or attribute here; "
            "what reads it is different, unless the program makes it anew first",
            stacklevel=2,
        )


def say_not_seen(path: str) -> None:
    """Warn of where the search for carried values ended, in a program of very many objects."""
    if path:
        warnings.warn(
            f"resume: the training leads to more than {MOST} objects, which were searched up to {path}: what changes "
            "in others is not kept in a checkpoint, and is as the program made it",
            stacklevel=2,
        )


def _named_first(body: Any) -> set[str]:
    """Names that code loads before it hands over a loop."""
    code = getattr(getattr(body, "__func__", body), "__code__", None)
    if code is None:
        return set()
    # From Python 3.13 on, the cell of a name that an inner function reads is loaded like a local.
    cells = {*code.co_cellvars, *code.co_freevars}
    names: set[str] = set()
    # What a `for` binds is its own within it: `for group in optimizer.param_groups: group["lr"] = …`.
    bound: dict[str, int] = {}
    before: dis.Instruction | None = None
    for one in dis.get_instructions(code):
        if one.argval in ("steps", "call"):
            break
        bound = {name: end for name, end in bound.items() if one.offset < end}
        if before is not None and before.opname == "FOR_ITER" and one.opname.startswith("STORE"):
            stored = one.argval[0] if isinstance(one.argval, tuple) else one.argval
            bound[stored] = before.argval
        before = one
        if one.opname == "LOAD_CLOSURE" or "LOAD" not in one.opname:
            continue
        # Two locals may be loaded at once, or one stored and one loaded.
        given = one.argval if isinstance(one.argval, tuple) else (one.argval,)
        loaded = given[1:] if one.opname.startswith("STORE") else given
        local = "FAST" in one.opname
        mine = {name for name in loaded if isinstance(name, str) and not (local and name in cells)}
        names |= mine - bound.keys()
    return names


def is_small(value: Any) -> bool:
    """Whether it is quickly kept: plain values, generators, and not too many of them."""
    return all(count <= LARGEST and _is_small(leaf) for count, leaf in enumerate(leaves_of(value), 1))


def _is_told_by_its_path(carried: Carried, value: Any) -> bool:
    """An object that was there before, a data set of torch's, or a loader of one that was not: kept is which one."""
    if carried.was_there(value):
        return True
    if isinstance(value, DataLoader):
        return not carried.was_there(value.dataset)
    return isinstance(value, Dataset) and holds_what_is_given(type(value))


def _is_small(leaf: Any) -> bool:
    if isinstance(leaf, np.ndarray):
        return leaf.size <= LARGEST_ARRAY and leaf.dtype.kind != "O"
    return isinstance(leaf, (*PLAIN, np.generic, *GENERATORS)) or form_of(leaf) is not None
