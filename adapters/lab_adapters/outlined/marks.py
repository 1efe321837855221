"""Something that tells later whether a value has changed, without keeping a copy of its tensors."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import marshal
import weakref
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from lab_adapters.outlined.files import LOST, place_in
from lab_adapters.outlined.forms import PLAIN, form_of
from lab_adapters.outlined.iterators import Replayed, is_raw
from lab_adapters.outlined.kinds import FED, LARGE, container_kind, entries_of
from lab_adapters.outlined.own_generators import GENERATORS, generator_state
from lab_adapters.outlined.weak import CACHES, WEAK, cached_of, entries_of_weak

__all__ = ["TensorMark", "mark", "of_container", "of_object"]

#: Of a larger array a digest takes less than its numbers.
_SMALL = 8
#: Bytes of a tensor of which a digest is taken.
_HASHED = 2**26


@attrs.frozen(eq=False)
class TensorMark:
    """Which tensor it was, how often it had been changed, its numbers, and its gradient.

    A change through `.data`, or through an array of numpy's that lies there too, counts no version.
    """

    ref: weakref.ref[Tensor]
    version: int
    numbers: Any
    grad: TensorMark | None = None

    @classmethod
    def of(cls, value: Tensor) -> TensorMark:
        """The mark of a tensor as it is now."""
        grad = value.grad if value.is_leaf else None
        version = 0 if value.is_inference() else value._version
        return cls(weakref.ref(value), version, _of_numbers(value), None if grad is None else cls.of(grad))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorMark):
            return NotImplemented
        same = self.ref() is not None and self.ref() is other.ref()
        numbers = self.version == other.version and self.numbers == other.numbers
        return same and numbers and self.grad == other.grad

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


def _of_numbers(value: Tensor) -> Any:
    """A digest; of one that is large, or lies on a device, the sum of its bits as they lie there."""
    if type(value) not in (Tensor, torch.nn.Parameter) or value.layout != torch.strided or value.is_meta:
        return None
    flat = value.detach().contiguous().view(-1).view(torch.uint8) if value.numel() else None
    if flat is None:
        return None
    if value.device.type == "cpu" and flat.numel() <= _HASHED:
        # Where it lies: an array of numpy's that lies there, too, would keep the program from resizing it.
        return hashlib.blake2b((ctypes.c_char * flat.numel()).from_address(flat.data_ptr())).digest()
    words = flat[: flat.numel() // 4 * 4].view(torch.int32)
    return int(words.sum(dtype=torch.int64)), int(flat[words.numel() * 4 :].sum(dtype=torch.int64))


def mark(value: Any, seen: dict[int, int] | None = None) -> Any:
    """Equal for one value that has not changed in between. `seen` numbers the containers that it is looked at in."""
    seen = {} if seen is None else seen
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
        return _of_array(value, seen)
    if isinstance(value, GENERATORS):
        state = generator_state(value)
        return "generator", state.numpy().tobytes() if isinstance(state, Tensor) else repr(state)
    if isinstance(value, io.IOBase):
        place = place_in(value)
        return "file", object() if place == LOST else place
    if isinstance(value, Replayed):
        return "iterator", id(value), value.count, value.state()["lost"]
    if isinstance(value, WEAK) and len(value) <= LARGE:
        return "weak", tuple((mark(key, seen), mark(inner, seen)) for key, inner in entries_of_weak(value))
    if isinstance(value, CACHES) and (cached := cached_of(value)):
        return "cache", tuple(cached), value.cache_info().currsize
    if isinstance(value, FED) or is_raw(value):
        return "object", object()  # never the same
    if container_kind(value) is not None:
        if id(value) in seen:
            return "again", seen[id(value)]
        seen[id(value)] = len(seen)
        return "container", type(value), _of_entries(value, seen)
    return "object", _Identity.of(value)


def of_container(made: Any) -> bool:
    """Whether this is the mark of something with entries."""
    return isinstance(made, tuple) and bool(made) and made[0] in ("container", "array")


def of_object(made: Any) -> bool:
    """Whether this is the mark of an object, of which no more than its identity is known."""
    return isinstance(made, tuple) and bool(made) and made[0] == "object"


def _of_entries(value: Any, seen: dict[int, int]) -> Any:
    entries = entries_of(value)
    if isinstance(value, set | frozenset):
        return frozenset(mark(one, seen) for one in entries)
    if len(entries) > LARGE and (digest := _digest(entries)):
        return len(entries), digest
    if isinstance(value, dict):
        return tuple((mark(key, seen), mark(inner, seen)) for key, inner in entries)
    return tuple(mark(inner, seen) for inner in entries)


def _of_array(value: np.ndarray[Any, Any], seen: dict[int, int]) -> Any:
    if isinstance(value, np.memmap):
        return "object", _Identity.of(value)  # what is written there is in its file
    if isinstance(value, np.ma.MaskedArray):
        return "array", value.shape, value.tobytes(), np.ma.getmaskarray(value).tobytes()
    if not value.dtype.hasobject:
        if value.size <= _SMALL:
            return "array", value.shape, value.tobytes()
        # A replay buffer, say, which is filled in place.
        return "array", value.shape, hashlib.blake2b(np.ascontiguousarray(value).data).digest()
    if value.dtype.kind == "O" and value.size <= LARGE * LARGE:
        return "array", value.shape, tuple(mark(one, seen) for one in value.flat)
    return "array", value.shape, id(value)


def _digest(entries: list[Any]) -> bytes | None:
    """Of plain values, however nested; None where there are others."""
    with contextlib.suppress(ValueError):
        # The version without references: equal values give equal bytes.
        return hashlib.blake2b(marshal.dumps(entries, 2)).digest()
    return None
