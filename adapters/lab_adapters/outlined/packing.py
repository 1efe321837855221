"""Plain values and tensors as a checkpoint can hold them and `torch.load(weights_only=True)` can read them.

A program knows its tensors as objects: the parameters in its own list are the model's, two names may be one tensor,
and what is updated in place must stay where it is. So a model's tensor is saved as its name, a tensor that is met
again as the first one's number, and one that was there before the loop is filled rather than replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import multiprocessing.queues
import queue
import random
import warnings
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Mapping, Sized
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from lab_adapters.outlined.iterators import Replayed, lost, replay
from lab_adapters.outlined.state_dicts import at_home

#: Of a container with more entries, numbers are kept as one tensor, and a digest tells whether it has changed.
LARGE = 1_000
#: A container with more entries is data, such as a cache of a data set, if its tensors take more bytes.
MANY, MOST_BYTES = 10_000, 2**30
#: The entries of a container that has no more are looked into, each by itself.
FOLLOWED = 64
PLAIN = (type(None), bool, int, float, str, bytes)
#: In place of a value that is not there, or that has no plain form.
MISSING = object()

#: What another thread or process fills: nothing can put it back.
FED = (queue.Queue, queue.SimpleQueue, multiprocessing.queues.Queue, multiprocessing.queues.SimpleQueue)
GENERATORS = (torch.Generator, random.Random, np.random.RandomState, np.random.Generator)
_KINDS: dict[type[Any], str] = {
    list: "list", tuple: "tuple", set: "set", deque: "deque", dict: "dict", OrderedDict: "dict", defaultdict: "dict",
}  # fmt: skip


@attrs.define(eq=False)
class Packing:
    """Packs the values of one checkpoint. `names` are those of the models' tensors and `loaders` those of loaders, by
    identity."""

    names: Mapping[int, str] = attrs.field(factory=dict)
    loaders: Mapping[int, str] = attrs.field(factory=dict)
    _seen: dict[int, int] = attrs.field(factory=dict)
    #: What was numbered lives until the end, so that no identity is given twice.
    _kept: list[Tensor] = attrs.field(factory=list)

    def pack(self, value: Any, before: Any = None) -> Any:
        """The value's plain form, or `MISSING`. `before` is its mark when the loop began, if it was there."""
        if isinstance(value, np.generic):  # of which np.float64 is a float, too
            plain = value.dtype.kind in "biuf"
            return {"kind": "numpy scalar", "value": value.item(), "dtype": value.dtype.str} if plain else MISSING
        if isinstance(value, PLAIN):
            return value
        if isinstance(value, Tensor):
            return self._tensor(value, before)
        if isinstance(value, np.ndarray):
            plain = value.dtype.kind in "biuf"
            return {"kind": "array", "value": torch.from_numpy(value.copy())} if plain else MISSING
        if isinstance(value, GENERATORS):
            return {"kind": "generator", "value": _generator_state(value)}
        if isinstance(value, Replayed):
            return self._iterator(value)
        if isinstance(value, FED):
            return {"kind": "lost", "value": "queue, or filled it"}
        kind = _KINDS.get(type(value))
        if kind is None:
            return MISSING
        if len(value) > LARGE and kind in ("list", "tuple", "deque") and (numbers := _numbers(value)) is not None:
            return {"kind": kind, "value": numbers}
        if len(value) > MANY and _bytes(value) > MOST_BYTES:
            return MISSING
        marks = before[1] if isinstance(before, tuple) and len(before) == 2 and isinstance(before[1], tuple) else ()
        marks = marks if len(marks) == len(value) else (None,) * len(value)
        if kind == "dict":
            pairs = [
                (self.pack(key), self.pack(inner, mark[1] if mark is not None else None))
                for (key, inner), mark in zip(value.items(), marks, strict=True)
            ]
            if any(part is MISSING for pair in pairs for part in pair):
                return MISSING
            return {"kind": "dict", "value": [list(pair) for pair in pairs]}
        marks = marks if kind != "set" else (None,) * len(value)
        packed = [self.pack(inner, mark) for inner, mark in zip(value, marks, strict=True)]
        return MISSING if any(inner is MISSING for inner in packed) else {"kind": kind, "value": packed}

    def _iterator(self, value: Replayed) -> Any:
        loader = self.loaders.get(id(value.loader)) if value.loader is not None else None
        if value.loader is not None and loader is None:
            return {"kind": "lost", "value": "iterator of a DataLoader"}
        return {"kind": "iterator", "value": value.state(), "loader": loader, "created": value.created}

    def _tensor(self, value: Tensor, before: Any) -> Any:
        if id(value) in self.names:
            return {"kind": "of a model", "value": self.names[id(value)]}
        if id(value) in self._seen:
            return {"kind": "again", "value": self._seen[id(value)]}
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        stays = isinstance(before, TensorMark) and before.ref() is value
        grad = value.grad if value.is_leaf else None
        return {
            "kind": "tensor",
            "value": value.detach().clone(),
            "device": str(value.device),
            "number": self._seen[id(value)],
            "stays": stays,
            "requires_grad": value.is_leaf and value.requires_grad,
            "grad": grad.detach().clone() if grad is not None else None,
        }


@attrs.define(eq=False)
class Unpacking:
    """Unpacks the values of one checkpoint, in the order in which they were packed. `tensors` are the models'."""

    tensors: Mapping[str, Tensor] = attrs.field(factory=dict)
    loaders: Mapping[str, Any] = attrs.field(factory=dict)
    _made: dict[int, Tensor] = attrs.field(factory=dict)

    def unpack(self, packed: Any, target: Any = None, name: str = "") -> Any:
        """The value; what stands there now, `target`, is filled where the program may know it by other names.

        Raises `KeyError` for a tensor of a model that is not there.
        """
        if isinstance(packed, Tensor):  # written before tensors were numbered
            return packed
        if not isinstance(packed, dict):
            return packed
        kind, value = packed["kind"], packed["value"]
        if kind == "of a model":
            if value not in self.tensors:
                raise KeyError(
                    f"checkpoint: expected the model's tensor {value}, found {', '.join(self.tensors)[:200]}"
                )
            return self.tensors[value]
        if kind == "again":
            return self._made[value]
        if kind == "tensor":
            made = self._made[packed["number"]] = _tensor(packed, target)
            return made
        if kind == "generator":
            return _put_generator(target, value)
        if kind == "iterator":
            return self._iterator(packed, target, name)
        if kind == "lost":
            lost(name, value)
            return target
        if kind == "not kept":
            if isinstance(target, Sized) and len(target) == packed["size"] <= FOLLOWED:
                return target  # its entries are objects, whose attributes are kept one by one
            warnings.warn(
                f"resume: {name}: {value}; it is as the program made it, so that the resumed training is not the same "
                "if it reads it",
                stacklevel=2,
            )
            return target
        if kind == "numpy scalar":
            return np.dtype(packed["dtype"]).type(value)
        if kind == "array":
            return value.numpy()
        if kind == "dict":
            return self._dict(value, target)
        if isinstance(value, Tensor):  # numbers of a large one
            value = value.tolist()
        there = list(target) if isinstance(target, list | tuple | deque) else []
        there += [None] * (len(value) - len(there))
        made_of = [self.unpack(inner, old) for inner, old in zip(value, there, strict=False)]
        if kind in ("list", "deque") and isinstance(target, list | deque):
            target.clear()
            target.extend(made_of)
            return target
        if kind == "set" and isinstance(target, set):
            target.clear()
            target.update(made_of)
            return target
        return {"list": list, "tuple": tuple, "set": set, "deque": deque}[kind](made_of)

    def _iterator(self, packed: dict[str, Any], target: Any, name: str) -> Any:
        state, path = packed["value"], packed["loader"]
        if path is not None:
            if path not in self.loaders:
                raise KeyError(f"checkpoint: {name}: expected the loader {path}, found {', '.join(self.loaders)}")
            return replay(self.loaders[path], {**state, "created": packed["created"]}, name)
        if isinstance(target, Replayed):
            target.pass_over(state, name)
        else:
            lost(name, "iterator")
        return target

    def _dict(self, pairs: list[list[Any]], target: Any) -> dict[Any, Any]:
        there = target if isinstance(target, dict) else {}
        made = {}
        for packed, inner in pairs:
            key = self.unpack(packed)
            made[key] = self.unpack(inner, there.get(key))
        if not isinstance(target, dict):
            return made
        target.clear()
        target.update(made)
        return target


def _numbers(value: Any) -> Tensor | None:
    """All floats, or all integers that a tensor holds, as one."""
    kinds = set(map(type, value))
    if kinds == {float}:
        return torch.tensor(list(value), dtype=torch.float64)
    if kinds == {int} and max(value) < 2**63 and min(value) >= -(2**63):
        return torch.tensor(list(value), dtype=torch.int64)
    return None


def not_kept(value: Any, before: Any) -> dict[str, Any] | None:
    """In place of a container or an array that was there before the loop, has changed, and has no plain form."""
    was = before[0] if isinstance(before, tuple) and before else None
    if not isinstance(value, list | deque | dict | set | np.ndarray) or was not in (*_KINDS, "set", "array", "objects"):
        return None
    size = value.size if isinstance(value, np.ndarray) else len(value)
    kinds = {type(one).__name__ for one in (value.flat if isinstance(value, np.ndarray) else _entries(value))}
    what = f"its {size} entries ({', '.join(sorted(kinds)[:4])}) are not kept in a checkpoint"
    return {"kind": "not kept", "value": what, "size": size}


def _entries(value: Any) -> list[Any]:
    return [*value, *value.values()] if isinstance(value, dict) else list(value)


def _bytes(value: Any) -> int:
    if isinstance(value, Tensor | np.ndarray):
        return int(value.nbytes)
    return sum(map(_bytes, _entries(value))) if isinstance(value, tuple(_KINDS)) else 0


def _digest(value: Any) -> bytes | None:
    """Of a container of plain values, however nested; None where it holds others."""
    flat = list(value.items()) if isinstance(value, dict) else list(value)
    with contextlib.suppress(ValueError):
        # The version without references: equal values give equal bytes.
        return hashlib.blake2b(marshal.dumps(flat, 2)).digest()
    return None


def _generator_state(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, random.Random):
        version, internal, gauss = value.getstate()
        return [version, list(internal), gauss]
    return _plain_state(value.get_state(legacy=False) if isinstance(value, np.random.RandomState)
                        else value.bit_generator.state)  # fmt: skip


def _plain_state(state: Any) -> Any:
    """numpy's state dictionaries, their arrays as lists."""
    if isinstance(state, dict):
        return {key: _plain_state(inner) for key, inner in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _put_generator(target: Any, state: Any) -> Any:
    if isinstance(target, torch.Generator):
        target.set_state(state)
    elif isinstance(target, random.Random):
        target.setstate((state[0], tuple(state[1]), state[2]))
    elif isinstance(target, np.random.RandomState):
        state = {**state, "state": {**state["state"], "key": np.asarray(state["state"]["key"], dtype=np.uint32)}}
        target.set_state(state)
    elif isinstance(target, np.random.Generator):
        target.bit_generator.state = state
    return target


def _tensor(packed: dict[str, Any], target: Any) -> Tensor:
    value: Tensor = packed["value"]
    fits = isinstance(target, Tensor) and target.shape == value.shape and target.dtype == value.dtype
    if packed["stays"] and fits:
        with torch.no_grad():
            target.copy_(value)
        made: Tensor = target
    else:
        made = at_home(value.clone(), packed.get("device", "cpu")).requires_grad_(packed["requires_grad"])
    grad = packed["grad"]
    if made.is_leaf:
        made.grad = grad.to(made.device) if grad is not None else None
    return made


@attrs.frozen(eq=False)
class TensorMark:
    """Which tensor it was, how often it had been changed, and its gradient."""

    ref: weakref.ref[Tensor]
    version: int
    grad: TensorMark | None = None

    @classmethod
    def of(cls, value: Tensor) -> TensorMark:
        """The mark of a tensor as it is now."""
        grad = value.grad if value.is_leaf else None
        return cls(weakref.ref(value), value._version, None if grad is None else cls.of(grad))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorMark):
            return NotImplemented
        same = self.ref() is not None and self.ref() is other.ref()
        return same and self.version == other.version and self.grad == other.grad

    def __hash__(self) -> int:
        return id(self.ref())


def mark(value: Any) -> Any:
    """Something that tells later whether a value has changed, without keeping a copy of its tensors."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, PLAIN):
        return type(value), value
    if isinstance(value, Tensor):
        return TensorMark.of(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        if value.size <= LARGE:
            return "array", value.shape, value.tobytes()
        # A replay buffer, say, which is filled in place.
        return "array", value.shape, hashlib.blake2b(np.ascontiguousarray(value).data).digest()
    if isinstance(value, np.ndarray):
        return "objects", id(value), value.size
    if isinstance(value, list | tuple | deque | dict):
        large = len(value) > LARGE and _digest(value)
        if large:
            return type(value), len(value), large
    if isinstance(value, dict):
        return dict, tuple((mark(key), mark(inner)) for key, inner in value.items())
    if isinstance(value, list | tuple | deque):
        return type(value), tuple(map(mark, value))
    if isinstance(value, set):
        return "set", frozenset(map(mark, value))
    if isinstance(value, np.generic):
        return "numpy scalar", value.tobytes()
    if isinstance(value, GENERATORS):
        state = _generator_state(value)
        return "generator", state.numpy().tobytes() if isinstance(state, Tensor) else repr(state)
    if isinstance(value, Replayed):
        return "iterator", id(value), value.count
    if isinstance(value, FED):
        return object()  # never the same
    return "opaque", id(value)
