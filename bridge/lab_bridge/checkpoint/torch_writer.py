"""Writing a tree of `StoredTensor` as `torch.save` would, without ever holding its tensors."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from typing import Any, BinaryIO

import torch

from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.inert import Inert, NumpyValue, Symbol
from lab_bridge.checkpoint.stored import Storage, StoredTensor
from lab_bridge.checkpoint.zip_writer import ZipWriter

__all__ = ["write_torch_file"]

_ROOT = "archive"


def write_torch_file(file: BinaryIO, tree: Any) -> None:
    """Write `tree` to an empty, unbuffered file. A storage that several tensors view is written once."""
    described = io.BytesIO()
    pickler = _Pickler(described)
    pickler.dump(tree)
    archive = ZipWriter(file)
    # Without torch's .format_version: that promises the places of records in a zip that miniz laid out.
    archive.add(f"{_ROOT}/data.pkl", described.getvalue())
    archive.add(f"{_ROOT}/byteorder", b"little")
    for key, storage in enumerate(pickler.storages):
        archive.add_storage(f"{_ROOT}/data/{key}", storage)
    archive.add(f"{_ROOT}/version", b"3\n")
    archive.finish()


class _Reference:
    """A storage inside the pickle."""

    def __init__(self, storage: Storage, dtype: torch.dtype) -> None:
        self.storage, self.dtype = storage, dtype


#: Python's own pickler, whose types are not declared; the one in C imports every symbol that it writes.
_PythonPickler: Any = pickle._Pickler


class _Pickler(_PythonPickler):  # type: ignore[misc]
    """Writes tensors as torch does, and foreign objects by their names."""

    dispatch: dict[Any, Any] = _PythonPickler.dispatch.copy()

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, protocol=2)
        self.storages: dict[Storage, int] = {}
        self._alive: list[Any] = []  # memo goes by id()

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, _Reference):
            return None
        kinds = torch.storage._dtype_to_storage_type_map()
        kind = getattr(torch, kinds[value.dtype]) if value.dtype in kinds else torch.UntypedStorage
        size = 1 if kind is torch.UntypedStorage else value.dtype.itemsize
        key = self.storages.setdefault(value.storage, len(self.storages))
        return ("storage", kind, str(key), "cpu", value.storage.nbytes // size)

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, StoredTensor):
            return self._reduced(value)
        if isinstance(value, NumpyValue):
            made = value.array()
            made = made.dtype.type(made) if value.scalar else made
            self._alive.append(made)
            return made.__reduce__()
        return NotImplemented

    def _reduced(self, value: StoredTensor) -> Any:
        reference = _Reference(value.storage, value.dtype)
        view = (reference, value.offset, value.shape, value.stride)
        rebuild: Any = torch._utils._rebuild_tensor_v2
        arguments: tuple[Any, ...] = (*view, value.requires_grad and not value.parameter, OrderedDict())
        if value.dtype not in torch.storage._dtype_to_storage_type_map():
            rebuild, arguments = torch._utils._rebuild_tensor_v3, (*arguments, value.dtype)
        if value.parameter:
            inner = _Call(rebuild, arguments)
            self._alive.append(inner)
            return torch._utils._rebuild_parameter, (inner, value.requires_grad, OrderedDict())
        self._alive.append(arguments)
        return rebuild, arguments

    def save_call(self, value: _Call) -> None:
        """A tensor inside a parameter."""
        self.save_reduce(value.function, value.arguments, obj=value)

    def save_symbol(self, value: Symbol) -> None:
        """A name, without importing it."""
        module, _, name = value.name.rpartition(".")
        if not module or not (module + name).replace(".", "").replace("_", "").isalnum():
            raise CheckpointError(f"{value.name}: expected the name of a class, found none; it cannot be written back")
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(value)

    def save_inert(self, value: Inert) -> None:
        """A foreign object, as it was described."""
        self._alive.append(symbol := Symbol(value.symbol))
        self.save_symbol(symbol)
        self.save(tuple(value.arguments))
        self.write(pickle.NEWOBJ if value.how == "new" else pickle.REDUCE)
        self.memoize(value)
        self._batch_appends(value.items)
        self._batch_setitems(value.pairs)
        if value.state is not None:
            self.save(value.state)
            self.write(pickle.BUILD)

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """Dispatch by base class where Python goes by the exact type."""
        if isinstance(obj, Inert) and id(obj) not in self.memo:
            self.save_inert(obj)
        else:
            super().save(obj, save_persistent_id)

    dispatch[Symbol] = save_symbol


class _Call:
    """A function and its arguments, to be written as a call."""

    def __init__(self, function: Any, arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments


_Pickler.dispatch[_Call] = _Pickler.save_call
