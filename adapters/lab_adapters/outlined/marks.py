"""Something that tells later whether a value has changed, without keeping a copy of its tensors."""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import weakref
from collections import deque
from typing import Any

import attrs
import numpy as np
from torch import Tensor

from lab_adapters.outlined.forms import PLAIN, form_of
from lab_adapters.outlined.iterators import Replayed, is_raw
from lab_adapters.outlined.kinds import FED, LARGE
from lab_adapters.outlined.own_generators import GENERATORS, generator_state

__all__ = ["TensorMark", "mark", "of_container", "of_object"]

#: Containers in containers are looked into this far: one may hold itself.
_DEEPEST = 30
#: Of a larger array a digest takes less than its numbers.
_SMALL = 8


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


@attrs.frozen(eq=False)
class _Identity:
    """Which object it was: one that is gone must not lend its identity to another."""

    number: int
    ref: weakref.ref[Any] | None

    @classmethod
    def of(cls, value: Any) -> _Identity:
        """Some objects have no weak references."""
        try:
            return cls(id(value), weakref.ref(value))
        except TypeError:
            return cls(id(value), None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Identity):
            return NotImplemented
        gone = self.ref is not None and self.ref() is None
        return not gone and self.number == other.number

    def __hash__(self) -> int:
        return self.number


def mark(value: Any, depth: int = _DEEPEST) -> Any:
    """Equal for one value that has not changed in between."""
    if type(value) in PLAIN and type(value) is not float:  # most are
        return type(value), value
    if isinstance(value, Tensor):
        return TensorMark.of(value)
    if isinstance(value, np.generic):
        return "numpy scalar", value.tobytes()
    if form := form_of(value):
        return form.kind, str(form.write(value))
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, PLAIN):
        return type(value), value
    if isinstance(value, np.ndarray):
        return _of_array(value, depth)
    if isinstance(value, GENERATORS):
        state = generator_state(value)
        return "generator", state.numpy().tobytes() if isinstance(state, Tensor) else repr(state)
    if isinstance(value, Replayed):
        return "iterator", id(value), value.count
    if isinstance(value, FED) or is_raw(value):
        return object()  # never the same
    if depth and isinstance(value, list | tuple | deque | dict | set | frozenset):
        return "container", type(value), _of_entries(value, depth - 1)
    return "object", _Identity.of(value)


def of_container(made: Any) -> bool:
    """Whether this is the mark of something with entries."""
    return isinstance(made, tuple) and bool(made) and made[0] in ("container", "array")


def of_object(made: Any) -> bool:
    """Whether this is the mark of an object, of which no more than its identity is known."""
    return isinstance(made, tuple) and bool(made) and made[0] == "object"


def _of_entries(value: Any, depth: int) -> Any:
    if isinstance(value, set | frozenset):
        return frozenset(mark(one, depth) for one in value)
    if len(value) > LARGE and (digest := _digest(value)):
        return len(value), digest
    if isinstance(value, dict):
        return tuple((mark(key, depth), mark(inner, depth)) for key, inner in value.items())
    return tuple(mark(inner, depth) for inner in value)


def _of_array(value: np.ndarray[Any, Any], depth: int) -> Any:
    if value.dtype.kind in "biuf":
        if value.size <= _SMALL:
            return "array", value.shape, value.tobytes()
        # A replay buffer, say, which is filled in place.
        return "array", value.shape, hashlib.blake2b(np.ascontiguousarray(value).data).digest()
    if value.dtype.kind == "O" and depth and value.size <= LARGE:
        return "array", value.shape, tuple(mark(one, depth - 1) for one in value.flat)
    return "array", value.shape, id(value)


def _digest(value: Any) -> bytes | None:
    """Of a container of plain values, however nested; None where it holds others."""
    flat = list(value.items()) if isinstance(value, dict) else list(value)
    with contextlib.suppress(ValueError):
        # The version without references: equal values give equal bytes.
        return hashlib.blake2b(marshal.dumps(flat, 2)).digest()
    return None
