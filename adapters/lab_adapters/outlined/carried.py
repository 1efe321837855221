"""What a loop carries from one iteration to the next besides models and optimizers: counters, meters, histories.

Found in the loop's own names and, through them, in the attributes of the program's own objects, a home-grown
optimizer's momentum among them. Only what has changed since the loop began is kept: a setting that a resumed run
changes on purpose stays changed.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from lab_adapters.outlined.packing import MISSING, PLAIN, Packing, Unpacking, mark

#: How far attributes and entries are followed from a loop's names.
DEPTH = 4
#: A container with more entries holds data, not objects with a state of their own.
LARGEST = 64


#: Values, and what is known by a name of its own; models save themselves.
_NO_OBJECT = (
    *PLAIN, Tensor, np.generic, np.ndarray, set, deque, list, tuple, dict,
    type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, torch.nn.Module,
)  # fmt: skip


@attrs.frozen(eq=False)
class Slot:
    """A place that holds a value: a closure's cell, a global name, an object's attribute."""

    path: str
    holder: Any
    name: str | None

    def get(self) -> Any:
        """The value, or a marker where there is none."""
        if isinstance(self.holder, types.CellType):
            try:
                return self.holder.cell_contents
            except ValueError:
                return MISSING
        if isinstance(self.holder, dict):
            return self.holder.get(self.name, MISSING)
        return getattr(self.holder, str(self.name), MISSING)

    def put(self, value: Any) -> None:
        """Assign it."""
        if isinstance(self.holder, types.CellType):
            self.holder.cell_contents = value
        elif isinstance(self.holder, dict):
            self.holder[self.name] = value
        else:
            object.__setattr__(self.holder, str(self.name), value)


class Carried:
    """The changing plain values of some functions' names."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}

    def remember(self, bodies: list[Any]) -> None:
        """Take what names that are new hold now as what they held before."""
        for slot in slots(bodies):
            if slot.path not in self._before:
                self._before[slot.path] = mark(slot.get())

    def state(self, bodies: list[Any], names: Mapping[int, str] | None = None) -> dict[str, Any]:
        """Path -> value of all that has changed and can be saved without pickling code.

        `names` are those of the models' tensors, by identity: in the program's own containers they stay the models'.
        """
        found = {}
        packing = Packing(names or {})
        for slot in slots(bodies):
            value, before = slot.get(), self._before.get(slot.path)
            if before is not None and before == mark(value):
                continue
            packed = packing.pack(value, before)
            if packed is not MISSING:
                found[slot.path] = packed
        return found

    def restore(self, bodies: list[Any], state: dict[str, Any], tensors: Mapping[str, Tensor] | None = None) -> None:
        """Put it back; containers, objects, and tensors that were there before the loop keep their identity."""
        unpacking = Unpacking(tensors or {})
        there = {slot.path: slot for slot in slots(bodies)}
        for path, packed in state.items():
            slot = there.get(path)
            value = unpacking.unpack(packed, slot.get() if slot is not None else None)
            if slot is not None and value is not slot.get():
                slot.put(value)


def slots(bodies: list[Any]) -> Iterator[Slot]:
    """Every slot that holds, or may hold, a plain value; two of one name have different paths."""
    seen: set[int] = set()
    globals_seen: set[tuple[int, str]] = set()
    taken: dict[str, int] = {}

    def path(name: str) -> str:
        taken[name] = taken.get(name, 0) + 1
        return name if taken[name] == 1 else f"{name}#{taken[name]}"

    for body in bodies:
        function = getattr(body, "__func__", body)
        if not isinstance(function, types.FunctionType):
            continue
        code = function.__code__
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if id(cell) not in seen:
                seen.add(id(cell))
                yield from _below(Slot(path(name), cell, None), DEPTH, seen)
        for name in sorted(_names(code)):
            key = id(function.__globals__), name
            if name in function.__globals__ and key not in globals_seen:
                globals_seen.add(key)
                yield from _below(Slot(path(name), function.__globals__, name), DEPTH, seen)


def _names(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _below(slot: Slot, depth: int, seen: set[int]) -> Iterator[Slot]:
    value = slot.get()
    if isinstance(value, type | types.ModuleType | types.FunctionType | types.BuiltinFunctionType | torch.nn.Module):
        return
    if value is MISSING or isinstance(value, (*PLAIN, Tensor, np.generic, np.ndarray, set)):
        yield slot
    elif isinstance(value, list | tuple | deque | dict):
        yield slot
        if depth and len(value) <= LARGEST:
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for key, inner in list(pairs):
                yield from _attributes(f"{slot.path}[{key!r}]", inner, depth - 1, seen)
    else:
        yield from _attributes(slot.path, value, depth, seen)


def _attributes(path: str, value: Any, depth: int, seen: set[int]) -> Iterator[Slot]:
    """Those of an object of the program's own, or of one in a container of its own."""
    if isinstance(value, list | tuple | dict) and depth and len(value) <= LARGEST:
        for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield from _attributes(f"{path}[{key!r}]", inner, depth - 1, seen)
        return
    if not depth or id(value) in seen or isinstance(value, _NO_OBJECT) or _is_foreign(value) or _keeps_itself(value):
        return
    seen.add(id(value))
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict):
        for name in list(own):
            yield from _below(Slot(f"{path}.{name}", own, name), depth - 1, seen)
    for name in _slots(type(value)):
        if hasattr(value, name):
            yield from _below(Slot(f"{path}.{name}", value, name), depth - 1, seen)


def _slots(kind: type) -> list[str]:
    names: list[str] = []
    for cls in kind.__mro__:
        own = vars(cls).get("__slots__", ())
        names += [own] if isinstance(own, str) else list(own)
    return [name for name in names if name not in ("__dict__", "__weakref__") and not name.startswith("__")]


def _is_foreign(value: Any) -> bool:
    return type(value).__module__.split(".")[0] in (
        "builtins",
        "torch",
        "numpy",
        "lightning",
        "logging",
        "_io",
        "threading",
    )


def _keeps_itself(value: Any) -> bool:
    """It is saved by its own `state_dict`."""
    return all(callable(getattr(type(value), name, None)) for name in ("state_dict", "load_state_dict"))
