"""Unpickling without importing: tensors become `StoredTensor`, foreign objects become descriptions of themselves.

Stricter than `torch.load(weights_only=True)`: not even torch's own functions are called with what a file says.
"""

from __future__ import annotations

import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import IO, Any

import attrs
import numpy as np
import torch

from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.stored import Storage, StoredTensor
from lab_bridge.checkpoint.symbols import storage_dtypes

__all__ = ["Inert", "InertUnpickler", "NumpyValue", "Symbol", "finished"]


@attrs.frozen
class Symbol:
    """The name of a class or function, where a file names one without making anything of it."""

    name: str


class Inert:
    """What a file says about a foreign object: its symbol, how it is made, its state. Nothing of it ever runs."""

    symbol = ""

    def __new__(cls, *arguments: Any) -> Inert:
        """As `object.__new__`, which is all that some pickles call."""
        made = super().__new__(cls)
        made.how, made.arguments = "new", arguments
        made.state, made.items, made.pairs = None, [], []
        return made

    def __init__(self, *_: Any) -> None:
        self.how = "call"

    how: str  # "new": `cls.__new__(cls, *arguments)`; "call": `function(*arguments)`
    arguments: tuple[Any, ...]
    state: Any
    items: list[Any]
    pairs: list[tuple[Any, Any]]

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, item: Any) -> None:
        """What a pickle appends to a list that is none."""
        self.items.append(item)

    def extend(self, items: Any) -> None:
        """The same, several."""
        self.items.extend(items)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.pairs.append((key, value))


@attrs.frozen
class NumpyValue:
    """A numpy array or scalar, as numpy pickles it: dtype string, shape, bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes
    scalar: bool = False

    def array(self) -> np.ndarray[Any, Any]:
        """As numpy has it."""
        return np.frombuffer(self.data, np.dtype(self.dtype)).reshape(self.shape)


@attrs.frozen
class _Elements:
    """A storage class of torch: which dtype its elements have."""

    dtype: torch.dtype


@attrs.frozen(eq=False)
class _Typed:
    """A storage as a pickle refers to it."""

    storage: Storage
    dtype: torch.dtype


class _Dtype:
    """numpy.dtype in the making."""

    def __init__(self, text: str, *_: Any) -> None:
        self.text = text

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order in ("<", ">"):
            self.text = order + self.text.lstrip("<>=|")


class _Array:
    """numpy.ndarray in the making."""

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def value(self) -> NumpyValue:
        if self.state is None:
            raise CheckpointError("numpy array: expected its state, found none")
        _, shape, dtype, fortran, data = self.state
        if not isinstance(data, bytes) or not isinstance(dtype, _Dtype):
            raise CheckpointError("numpy array: expected numbers, found objects; save it as a list instead")
        made = np.frombuffer(data, np.dtype(dtype.text)).reshape(shape, order="F" if fortran else "C")
        return NumpyValue(np.dtype(dtype.text).str, tuple(shape), made.tobytes())


def _scalar(dtype: _Dtype, data: bytes) -> NumpyValue:
    return NumpyValue(np.dtype(dtype.text).str, (), bytes(data), scalar=True)


def _tensor(typed: _Typed, offset: int, shape: Any, stride: Any, requires_grad: bool = False, *_: Any) -> StoredTensor:
    return _view(typed, typed.dtype, offset, shape, stride, requires_grad)


def _tensor_v3(
    typed: _Typed, offset: int, shape: Any, stride: Any, requires_grad: bool, hooks: Any, dtype: torch.dtype, *_: Any
) -> StoredTensor:
    return _view(typed, dtype, offset, shape, stride, requires_grad)


def _view(typed: _Typed, dtype: torch.dtype, offset: int, shape: Any, stride: Any, requires_grad: bool) -> StoredTensor:
    made = StoredTensor(typed.storage, dtype, tuple(shape), tuple(stride), offset, requires_grad=requires_grad)
    reach = offset + 1 + sum((size - 1) * step for size, step in zip(made.shape, made.stride, strict=True))
    if min((offset, *made.shape, *made.stride)) < 0 or (made.count and reach * dtype.itemsize > typed.storage.nbytes):
        raise CheckpointError(
            f"tensor of shape {made.shape}: expected it inside its storage of {typed.storage.nbytes} bytes, "
            f"found strides {made.stride} from element {offset} on; the file is damaged"
        )
    return made


def _parameter(data: StoredTensor, requires_grad: bool, *_: Any) -> StoredTensor:
    return attrs.evolve(data, parameter=True, requires_grad=requires_grad)


def _from_type(function: Callable[..., Any], kind: Any, arguments: tuple[Any, ...], state: Any) -> Any:
    if kind not in (_TENSOR, _PARAMETER) or state:
        raise CheckpointError("tensor: expected a plain one, found a subclass or one with attributes of its own")
    return function(*arguments)


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise CheckpointError(f"bytes: expected latin1, found {encoding!r}")
    return text.encode("latin1")


_TENSOR, _PARAMETER = Symbol("torch.Tensor"), Symbol("torch.nn.parameter.Parameter")


def _stand_ins() -> dict[str, Any]:
    known: dict[str, Any] = {
        "collections.OrderedDict": OrderedDict,
        "collections.Counter": Counter,
        "torch.Size": torch.Size,
        "torch.device": torch.device,
        "torch.Tensor": _TENSOR,
        "torch.nn.parameter.Parameter": _PARAMETER,
        "_codecs.encode": _encode,
        "builtins.bytearray": bytearray,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor_v3": _tensor_v3,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
        "torch._tensor._rebuild_from_type_v2": _from_type,
        "torch.storage.UntypedStorage": _Elements(torch.uint8),
        "torch.UntypedStorage": _Elements(torch.uint8),
        "numpy.ndarray": Symbol("numpy.ndarray"),
        "numpy.dtype": _Dtype,
    }
    for core in ("core", "_core"):
        known[f"numpy.{core}.multiarray._reconstruct"] = _Array
        known[f"numpy.{core}.multiarray.scalar"] = _scalar
    for module in ("builtins", "__builtin__"):
        known |= {f"{module}.set": set, f"{module}.frozenset": frozenset, f"{module}.complex": complex}
    known |= {name: _Elements(dtype) for name, dtype in storage_dtypes().items()}
    known |= {str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)}
    return known


class InertUnpickler(pickle.Unpickler):
    """Reads one pickle; `storage` gives the storage of a persistent id's key, dtype and number of elements."""

    def __init__(self, file: IO[bytes], storage: Callable[[str, torch.dtype, int], Storage]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storage = storage
        self._known = _stand_ins()
        self._made: dict[str, type[Inert]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in; never an import."""
        symbol = f"{module}.{name}"
        if symbol in self._known:
            return self._known[symbol]
        if symbol not in self._made:
            self._made[symbol] = type(name.rsplit(".", 1)[-1], (Inert,), {"symbol": symbol})
        return self._made[symbol]

    def persistent_load(self, pid: Any) -> _Typed:
        """A storage: `("storage", class, key, location, number of elements[, view])`."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], _Elements):
            raise CheckpointError(f"expected a tensor's storage, found the reference {pid!r}")
        if len(pid) > 5 and pid[5] is not None:
            raise CheckpointError("expected a whole storage, found a view of one; save the file anew with torch >= 1.6")
        _, elements, key, _, count = pid[:5]
        return _Typed(self._storage(str(key), elements.dtype, int(count)), elements.dtype)


def finished(value: Any) -> Any:
    """A leaf in its final form: arrays in the making become values, classes become symbols."""
    if isinstance(value, _Array):
        return value.value()
    if isinstance(value, _Dtype):
        return np.dtype(value.text)
    if isinstance(value, type) and issubclass(value, Inert):
        return Symbol(value.symbol)
    if isinstance(value, _Elements):
        return Symbol(f"torch.storage of {value.dtype}")
    if isinstance(value, _Typed):
        whole = value.storage.nbytes // value.dtype.itemsize
        return StoredTensor(value.storage, value.dtype, (whole,), (1,))
    return value
