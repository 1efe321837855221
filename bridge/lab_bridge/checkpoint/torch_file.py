"""Reading what `torch.save` wrote, zip or the format before it, without importing anything and without its tensors."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import attrs
import numpy as np
import torch

from lab_bridge.checkpoint.errors import CheckpointError, UntrustedError
from lab_bridge.checkpoint.inert import Inert, InertUnpickler, NumpyValue, Symbol
from lab_bridge.checkpoint.stored import FileStorage, HeldStorage, Storage, StoredTensor
from lab_bridge.checkpoint.symbols import symbols_in_pickle, unknown_symbols

__all__ = ["read_torch_file", "read_torch_region", "symbols_in"]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LOCAL_HEADER = struct.Struct("<26xHH")


def is_torch_file(path: Path) -> bool:
    """Whether the file is a zip or starts as a pickle."""
    with path.open("rb") as file:
        start = file.read(4)
    return start == b"PK\x03\x04" or start[:1] == b"\x80"


def symbols_in(path: Path) -> list[str]:
    """What loading the file would import beyond tensors and plain values, read off its opcodes."""
    with path.open("rb") as file:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found = symbols_in_pickle(io.BytesIO(archive.read(_pickle_record(path, archive))))
        else:
            found = []
            for _ in range(5):  # magic number, protocol, system, the object, the storages' keys
                found += symbols_in_pickle(file)
    return unknown_symbols(list(dict.fromkeys(found)))


def read_torch_file(path: Path, objects_as_data: bool = False, trust: bool = False) -> Any:
    """The tree of a file, its tensors as `StoredTensor`.

    Foreign objects raise `UntrustedError`, unless they are to be read as descriptions of themselves (`Inert`), or the
    file is trusted, in which case it is unpickled as usual and may do whatever it likes.
    """
    try:
        unknown = symbols_in(path)
        if trust and unknown:
            return _described(torch.load(path, map_location="cpu", weights_only=False))
        if unknown and not objects_as_data:
            raise UntrustedError(path, unknown)
        if zipfile.is_zipfile(path):
            return _read_zip(path)
        with path.open("rb") as file:
            return _read_legacy(path, file)
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, struct.error, KeyError, IndexError) as error:
        raise CheckpointError(
            f"{path}: expected a file that torch.save wrote, found a damaged one: {error or type(error).__name__}"
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: expected a file that torch.save wrote, found another: {error}") from error


def read_torch_region(path: Path, start: int, length: int, objects_as_data: bool = False) -> Any:
    """The tree of what `torch.save` wrote into a part of a file. Raises as `read_torch_file`."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(_Region(file, start, length)) as archive:
            unknown = unknown_symbols(symbols_in_pickle(io.BytesIO(archive.read(_pickle_record(path, archive)))))
        if unknown and not objects_as_data:
            raise UntrustedError(path, unknown)
        return _read_zip(path, start, length)
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, struct.error, KeyError, IndexError) as error:
        raise CheckpointError(
            f"{path}: expected what torch.save wrote at byte {start}, found something damaged: {error}"
        ) from error


class _Region(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, file: IO[bytes], start: int, length: int) -> None:
        self._file, self._start, self._length, self._at = file, start, length, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = max(self._length - self._at, 0)
        size = left if size < 0 else min(size, left)
        self._file.seek(self._start + self._at)
        data = self._file.read(size)
        self._at += len(data)
        return data


def _pickle_record(path: Path, archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    if any(name.endswith("/constants.pkl") for name in names):
        raise CheckpointError(f"{path}: expected a checkpoint, found a TorchScript program; save its state_dict()")
    found = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(found) != 1:
        raise CheckpointError(f"{path}: expected a checkpoint that torch.save wrote, found a zip without data.pkl")
    return found[0]


def _read_zip(path: Path, start: int = 0, length: int | None = None) -> Any:
    length = path.stat().st_size if length is None else length
    with path.open("rb") as file, zipfile.ZipFile(_Region(file, start, length)) as archive:
        record = _pickle_record(path, archive)
        root = record.removesuffix("data.pkl")
        order = f"{root}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise CheckpointError(f"{path}: expected little-endian tensors, found big-endian ones")
        storages: dict[str, Storage] = {}

        def storage(key: str, dtype: torch.dtype, count: int) -> Storage:
            if key not in storages:
                info = archive.getinfo(f"{root}data/{key}")
                if info.compress_type != zipfile.ZIP_STORED or info.file_size != count * dtype.itemsize:
                    raise CheckpointError(f"{path}: storage {key}: expected {count} {dtype}, found another size")
                file.seek(start + info.header_offset)
                offset = start + info.header_offset + 30 + sum(_LOCAL_HEADER.unpack(file.read(30)))
                storages[key] = FileStorage(path, offset, info.file_size, info.CRC)
            return storages[key]

        return InertUnpickler(io.BytesIO(archive.read(record)), storage).load()


def _read_legacy(path: Path, file: IO[bytes]) -> Any:
    sizes: dict[str, int] = {}
    late: dict[str, _Late] = {}

    def storage(key: str, dtype: torch.dtype, count: int) -> Storage:
        sizes[key] = dtype.itemsize
        return late.setdefault(key, _Late(path, count * dtype.itemsize))

    def load(given: Callable[..., Storage]) -> Any:
        return InertUnpickler(file, given).load()

    if load(storage) != _LEGACY_MAGIC:
        raise CheckpointError(f"{path}: expected a file that torch.save wrote, found another pickle")
    load(storage)
    if not load(storage).get("little_endian", True):
        raise CheckpointError(f"{path}: expected little-endian tensors, found big-endian ones")
    tree = load(storage)
    for key in load(storage):
        (count,) = struct.unpack("<q", file.read(8))
        late[key].offset = file.tell()
        file.seek(count * sizes[key], io.SEEK_CUR)
    return tree


@attrs.define(eq=False)
class _Late:
    """A storage whose place in the file is known only after the pickle that refers to it."""

    path: Path
    nbytes: int
    offset: int = -1

    def tensor(self, dtype: torch.dtype, start: int, count: int) -> torch.Tensor:
        return FileStorage(self.path, self.offset, self.nbytes).tensor(dtype, start, count)

    def chunks(self, start: int, stop: int) -> Any:
        return FileStorage(self.path, self.offset, self.nbytes).chunks(start, stop)


def _described(value: Any, storages: dict[int, Storage] | None = None) -> Any:
    """A trusted tree as the inert reader would give it: tensors stored, objects described."""
    storages = {} if storages is None else storages

    def inner(part: Any) -> Any:
        return _described(part, storages)

    if isinstance(value, torch.Tensor) and value.layout == torch.strided:
        return _stored(value, storages)
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | torch.Size | torch.dtype):
        return value
    if type(value) in (list, tuple):
        return type(value)(inner(part) for part in value)
    if isinstance(value, dict) and type(value).__module__ in ("builtins", "collections"):
        made: Any = OrderedDict() if isinstance(value, OrderedDict) else {}
        for key, part in value.items():
            made[key] = inner(part)
        for name, part in vars(value).items() if isinstance(value, OrderedDict) else ():
            vars(made)[name] = inner(part)
        return made
    if type(value).__module__ == "numpy" and hasattr(value, "tobytes") and value.dtype.kind != "O":
        return NumpyValue(value.dtype.str, value.shape, value.tobytes(), scalar=not isinstance(value, np.ndarray))
    return _as_inert(value, inner)


def _as_inert(value: Any, inner: Callable[[Any], Any]) -> Inert | Symbol:
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return Symbol(f"{value.__module__}.{value.__qualname__}")
    function, arguments, *rest = value.__reduce_ex__(2)
    how = "call"
    if getattr(function, "__name__", "") == "__newobj__":
        how, (function, *arguments) = "new", arguments
    symbol = f"{function.__module__}.{function.__qualname__}"
    made: Inert = type(function.__name__, (Inert,), {"symbol": symbol})(*(inner(part) for part in arguments))
    made.how = how
    state, items, pairs = (*rest, None, None, None)[:3]
    made.state = None if state is None else inner(state)
    made.items = [inner(item) for item in items or ()]
    made.pairs = [(inner(key), inner(part)) for key, part in pairs or ()]
    return made


def _stored(value: torch.Tensor, storages: dict[int, Storage]) -> StoredTensor:
    raw = value.untyped_storage()
    flat = torch.empty(0, dtype=torch.uint8).set_(raw)
    storage = storages.setdefault(raw.data_ptr() or id(raw), HeldStorage(flat))
    parameter = isinstance(value, torch.nn.Parameter)
    shape, stride, offset = tuple(value.shape), value.stride(), int(value.storage_offset())
    return StoredTensor(storage, value.dtype, shape, stride, offset, parameter, value.requires_grad)
