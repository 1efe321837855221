"""What a loop carries from one iteration to the next besides models and optimizers: counters, meters, histories.

Found in the loop's own names and, through them, in the attributes of the program's own objects. Only what has changed
since the loop began is kept: a setting that a resumed run changes on purpose stays changed.
"""

from __future__ import annotations

import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import torch

#: How far attributes and entries are followed from a loop's names.
DEPTH = 4
#: A container with more entries is data.
LARGEST = 10_000

_PLAIN = (type(None), bool, int, float, str, bytes)
_MISSING = object()


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
                return _MISSING
        return self.holder.get(self.name, _MISSING)

    def put(self, value: Any) -> None:
        """Assign it."""
        if isinstance(self.holder, types.CellType):
            self.holder.cell_contents = value
        else:
            self.holder[self.name] = value


class Carried:
    """The changing plain values of some functions' names."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}

    def remember(self, bodies: list[Any]) -> None:
        """Take what new names hold now as what they held before."""
        for slot in slots(bodies):
            self._before.setdefault(slot.path, _mark(slot.get()))

    def state(self, bodies: list[Any]) -> dict[str, Any]:
        """Path -> value of all that has changed and can be saved without pickling code."""
        found = {}
        for slot in slots(bodies):
            value = slot.get()
            if slot.path in self._before and self._before[slot.path] == _mark(value):
                continue
            packed = pack(value)
            if packed is not _MISSING:
                found[slot.path] = packed
        return found

    def restore(self, bodies: list[Any], state: dict[str, Any]) -> None:
        """Put it back; containers and objects keep their identity."""
        for slot in slots(bodies):
            if slot.path in state:
                value = unpack(state[slot.path])
                if not _fill(slot.get(), value):
                    slot.put(value)


def slots(bodies: list[Any]) -> Iterator[Slot]:
    """Every slot that holds, or may hold, a plain value."""
    seen: set[int] = set()
    for body in bodies:
        function = getattr(body, "__func__", body)
        if not isinstance(function, types.FunctionType):
            continue
        code = function.__code__
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if id(cell) not in seen:
                seen.add(id(cell))
                yield from _below(Slot(name, cell, None), DEPTH, seen)
        for name in sorted(_names(code)):
            key = id(function.__globals__), name
            if name in function.__globals__ and hash(key) not in seen:
                seen.add(hash(key))
                yield from _below(Slot(name, function.__globals__, name), DEPTH, seen)


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
    if value is _MISSING or isinstance(
        value, (*_PLAIN, torch.Tensor, np.generic, np.ndarray, list, dict, set, tuple, deque)
    ):
        yield slot
        return
    if not depth or id(value) in seen or _is_foreign(value) or _keeps_itself(value):
        return
    seen.add(id(value))
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict):
        for name in list(own):
            yield from _below(Slot(f"{slot.path}.{name}", own, name), depth - 1, seen)


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


# ---- plain values


def pack(value: Any) -> Any:
    """A value as a checkpoint can hold it and `weights_only` can load it, or a marker where there is no such form."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.generic):
        return (
            {"kind": "numpy scalar", "value": value.item(), "dtype": value.dtype.str}
            if value.dtype.kind in "biuf"
            else _MISSING
        )
    if isinstance(value, np.ndarray):
        return {"kind": "array", "value": torch.from_numpy(value.copy())} if value.dtype.kind in "biuf" else _MISSING
    kinds: dict[type[Any], str] = {
        list: "list",
        tuple: "tuple",
        set: "set",
        deque: "deque",
        dict: "dict",
        OrderedDict: "dict",
        defaultdict: "dict",
    }
    kind = kinds.get(type(value))
    if kind is None or len(value) > LARGEST:
        return _MISSING
    if kind == "dict":
        pairs = [(pack(key), pack(inner)) for key, inner in value.items()]
        if any(part is _MISSING for pair in pairs for part in pair):
            return _MISSING
        return {"kind": "dict", "value": [list(pair) for pair in pairs]}
    packed = [pack(inner) for inner in value]
    return _MISSING if any(inner is _MISSING for inner in packed) else {"kind": kind, "value": packed}


def unpack(packed: Any) -> Any:
    """What `pack` packed."""
    if not isinstance(packed, dict):
        return packed
    kind, value = packed["kind"], packed["value"]
    if kind == "numpy scalar":
        return np.dtype(packed["dtype"]).type(value)
    if kind == "array":
        return value.numpy()
    if kind == "dict":
        return {unpack(key): unpack(inner) for key, inner in value}
    made = [unpack(inner) for inner in value]
    return {"list": list, "tuple": tuple, "set": set, "deque": deque}[kind](made)


def _fill(target: Any, value: Any) -> bool:
    """Put a container's new contents into the container that is there."""
    if isinstance(target, list | deque) and isinstance(value, list | deque):
        target.clear()
        target.extend(value)
        return True
    if isinstance(target, dict | set) and isinstance(value, dict | set):
        target.clear()
        target.update(value)
        return True
    return False


def _mark(value: Any) -> Any:
    """Something that tells later whether a value has changed, without keeping a copy of its tensors."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, torch.Tensor):
        return "tensor", id(value), value._version
    if isinstance(value, np.ndarray) and value.size <= LARGEST:
        return "array", value.shape, value.tobytes()
    if isinstance(value, dict) and len(value) <= LARGEST:
        return "dict", tuple((_mark(key), _mark(inner)) for key, inner in value.items())
    if isinstance(value, list | tuple | deque) and len(value) <= LARGEST:
        return type(value), tuple(map(_mark, value))
    if isinstance(value, set) and len(value) <= LARGEST:
        return "set", frozenset(map(_mark, value))
    if isinstance(value, np.generic):
        return "numpy scalar", value.tobytes()
    return "opaque", id(value)
