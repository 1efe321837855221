"""Tensors that stay in their file: shape, dtype and strides are known, the bytes are read when somebody wants them.

A `StoredTensor` is a view of a `Storage`, as a torch tensor is of its storage: two that share a storage and lie in the
same place are one tensor (tied weights). Storages lie in a file (`FileStorage`), in memory (`HeldStorage`), or are made
of other tensors one after the other (`JoinedStorage`). All of them give their bytes in chunks, so that the largest
tensor never has to fit into memory.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import attrs
import torch
from torch import Tensor

__all__ = ["CHUNK", "FileStorage", "HeldStorage", "JoinedStorage", "Storage", "StoredTensor", "hold"]

#: Bytes moved at a time: small enough for the caches, large enough to keep the calls few.
CHUNK = 4 << 20


class Storage(Protocol):
    """A run of bytes, read when asked for."""

    @property
    def nbytes(self) -> int:
        """How many bytes."""
        ...

    def tensor(self, dtype: torch.dtype, start: int, count: int) -> Tensor:
        """`count` elements from byte `start` on, flat; mapped where possible, never to be written to."""
        ...

    def chunks(self, start: int, stop: int) -> Iterator[memoryview]:
        """The bytes from `start` to `stop`; a chunk is valid until the next one is asked for."""
        ...


@attrs.frozen(eq=False)
class FileStorage:
    """Bytes of a file from `offset` on; `crc32` is theirs where the file says so."""

    path: Path
    offset: int
    nbytes: int
    crc32: int | None = None

    def tensor(self, dtype: torch.dtype, start: int, count: int) -> Tensor:
        """Mapped copy-on-write, so that torch may take it for writable and the file stays as it is."""
        if not count:
            return torch.empty(0, dtype=dtype)
        at = self.offset + start
        skip = at % mmap.ALLOCATIONGRANULARITY
        size = count * dtype.itemsize
        with self.path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), skip + size, access=mmap.ACCESS_COPY, offset=at - skip)
        flat = torch.frombuffer(mapped, dtype=torch.uint8, offset=skip, count=size)
        # torch reads elements where they lie; a safetensors file may put them at odd addresses.
        return (flat if at % dtype.itemsize == 0 else flat.clone()).view(dtype)

    def chunks(self, start: int, stop: int) -> Iterator[memoryview]:
        """Read into one buffer."""
        buffer = memoryview(bytearray(min(CHUNK, max(stop - start, 0))))
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset + start)
            left = stop - start
            while left:
                read = file.readinto(buffer[: min(left, len(buffer))])
                if not read:
                    raise EOFError(f"{self.path}: expected {left} more bytes, found the end of the file")
                left -= read
                yield buffer[:read]

    def send(self, target: BinaryIO, start: int, stop: int) -> None:
        """Append the bytes from `start` to `stop` to an unbuffered file, inside the kernel."""
        with self.path.open("rb") as file:
            while start < stop:
                sent = os.sendfile(target.fileno(), file.fileno(), self.offset + start, min(stop - start, 1 << 30))
                if not sent:
                    raise EOFError(f"{self.path}: expected {stop - start} more bytes, found the end of the file")
                start += sent


@attrs.frozen(eq=False)
class HeldStorage:
    """Bytes in memory: a flat tensor of uint8."""

    held: Tensor

    @property
    def nbytes(self) -> int:
        """How many bytes."""
        return self.held.numel()

    def tensor(self, dtype: torch.dtype, start: int, count: int) -> Tensor:
        """A view."""
        flat = self.held[start : start + count * dtype.itemsize]
        return (flat if flat.storage_offset() % dtype.itemsize == 0 else flat.clone()).view(dtype)

    def chunks(self, start: int, stop: int) -> Iterator[memoryview]:
        """Views."""
        whole = as_bytes(self.held)
        for at in range(start, stop, CHUNK):
            yield whole[at : min(at + CHUNK, stop)]


@attrs.frozen(eq=False)
class StoredTensor:
    """A strided view of a storage; `offset` and `stride` count elements, as in torch."""

    storage: Storage
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int = 0
    parameter: bool = False
    requires_grad: bool = False

    @property
    def count(self) -> int:
        """Number of elements."""
        return int(torch.Size(self.shape).numel())

    @property
    def nbytes(self) -> int:
        """Bytes of its elements."""
        return self.count * self.dtype.itemsize

    @property
    def place(self) -> tuple[object, ...]:
        """What two tied tensors have in common."""
        return (id(self.storage), self.dtype, self.offset, self.shape, self.stride)

    @property
    def contiguous(self) -> bool:
        """Whether its elements lie one after the other, in order."""
        expected = 1
        for size, step in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if size != 1 and step != expected:
                return not self.count
            expected *= size
        return True

    def load(self) -> Tensor:
        """The tensor, mapped from its file where possible; do not write to it."""
        if not self.count:
            return torch.empty(self.shape, dtype=self.dtype)
        span = 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        flat = self.storage.tensor(self.dtype, self.offset * self.dtype.itemsize, span)
        return flat.as_strided(self.shape, self.stride, flat.storage_offset())

    def chunks(self) -> Iterator[memoryview]:
        """The bytes of its elements in row-major order."""
        if self.contiguous:
            start = self.offset * self.dtype.itemsize
            yield from self.storage.chunks(start, start + self.nbytes)
            return
        whole = self.load()
        rows = max(1, CHUNK // max(1, self.nbytes // self.shape[0]))
        for at in range(0, self.shape[0], rows):
            block = whole[at : at + rows]
            yield as_bytes(block.contiguous().flatten().view(torch.uint8))

    def write(self, target: BinaryIO) -> None:
        """Append the bytes of its elements, row-major, to an unbuffered file."""
        if self.contiguous and isinstance(self.storage, FileStorage):
            start = self.offset * self.dtype.itemsize
            self.storage.send(target, start, start + self.nbytes)
            return
        for chunk in self.chunks():
            write_all(target, chunk)

    def narrow(self, axis: int, start: int, size: int) -> StoredTensor:
        """As `Tensor.narrow`: a view."""
        shape = (*self.shape[:axis], size, *self.shape[axis + 1 :])
        return attrs.evolve(self, shape=shape, offset=self.offset + start * self.stride[axis])

    def permute(self, axes: Sequence[int]) -> StoredTensor:
        """As `Tensor.permute`: a view."""
        return attrs.evolve(
            self, shape=tuple(self.shape[axis] for axis in axes), stride=tuple(self.stride[axis] for axis in axes)
        )

    def materialised(self) -> StoredTensor:
        """The same tensor row-major in a storage of its own, written out when somebody reads it."""
        return self if self.contiguous else join([self], 0)


@attrs.frozen(eq=False)
class JoinedStorage:
    """Tensors of one dtype concatenated along `axis`, row-major."""

    parts: tuple[StoredTensor, ...]
    axis: int

    @property
    def nbytes(self) -> int:
        """How many bytes."""
        return sum(part.nbytes for part in self.parts)

    def tensor(self, dtype: torch.dtype, start: int, count: int) -> Tensor:
        """Concatenated in memory."""
        joined = torch.cat([part.load() for part in self.parts], self.axis).flatten().view(torch.uint8)
        return HeldStorage(joined).tensor(dtype, start, count)

    def chunks(self, start: int, stop: int) -> Iterator[memoryview]:
        """Part by part where the parts follow one another."""
        if start == 0 and stop == self.nbytes and all(size == 1 for size in self.parts[0].shape[: self.axis]):
            for part in self.parts:
                yield from part.chunks()
        else:
            yield from HeldStorage(self.tensor(torch.uint8, 0, self.nbytes)).chunks(start, stop)


def join(parts: Sequence[StoredTensor], axis: int) -> StoredTensor:
    """As `torch.cat`, when somebody reads it."""
    first = parts[0]
    shape = (*first.shape[:axis], sum(part.shape[axis] for part in parts), *first.shape[axis + 1 :])
    return StoredTensor(JoinedStorage(tuple(parts), axis), first.dtype, shape, row_major(shape))


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides, in elements, of a contiguous tensor."""
    steps = [1]
    for size in reversed(shape[1:]):
        steps.append(steps[-1] * max(size, 1))
    return tuple(reversed(steps)) if shape else ()


def hold(tensor: Tensor) -> StoredTensor:
    """A tensor in memory as a stored one; a copy of its elements, on the CPU."""
    flat = tensor.detach().to("cpu", copy=True).contiguous().flatten().view(torch.uint8)
    shape = tuple(tensor.shape)
    return StoredTensor(HeldStorage(flat), tensor.dtype, shape, row_major(shape))


def write_all(target: BinaryIO, data: memoryview) -> None:
    """Append to an unbuffered file, which may take less than it is given."""
    while data:
        data = data[target.write(data) :]


def as_bytes(flat: Tensor) -> memoryview:
    """A view of a flat tensor of uint8."""
    return memoryview(flat.numpy().data)
