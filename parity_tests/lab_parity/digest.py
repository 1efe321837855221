"""Fingerprints of tensors: xxh3-128 over the bytes in memory, seeded with dtype and shape.

Two tensors have the same digest when dtype, shape and every bit agree (NaN payloads and the sign of zero
included; a chance collision has probability 2^-128). Strides and device do not count: a transposed view equals
its contiguous copy.
A CPU tensor is read where it lies, without a copy. xxh3 is described at https://xxhash.com.
"""

from __future__ import annotations

import ctypes
from functools import cache

import torch
from torch import Tensor
from xxhash import xxh3_64_intdigest, xxh3_128, xxh3_128_digest

__all__ = ["DIGEST_BYTES", "NO_GRADIENT", "digest_as_dense", "digest_bytes", "digest_tensor", "plain_of"]

DIGEST_BYTES = 16
_ZEROS = 1 << 20
_PLAIN = frozenset({Tensor, torch.nn.Parameter})


def digest_bytes(data: bytes | memoryview) -> bytes:
    """16-byte digest of plain bytes, in a domain of its own: it never equals a tensor's except by chance."""
    return xxh3_128_digest(data, 0x6C61622D706172)


NO_GRADIENT = digest_bytes(b"no gradient")
"""Of a parameter that has none, which differs from zeros."""


def digest_tensor(tensor: Tensor) -> bytes:
    """16-byte digest of a tensor's dtype, shape and bits.

    Takes any shape (also empty and 0-d) and every dense dtype (bf16, fp16, complex, bool …), sparse and jagged
    layouts (indices and values, as stored) and distributed tensors (the local shard). Draws no random number, keeps
    no reference, leaves autograd alone.

    Raises TypeError for a tensor without bytes of its own (meta, fake, quantised, freed, other subclasses).
    """
    # What nearly every tensor is, by the fewest questions: a step has hundreds, each asked with cold caches.
    if (
        type(tensor) in _PLAIN
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and tensor.is_contiguous()
        and not tensor.is_neg()
    ):
        made = _bytes_of(tensor.dtype, tensor.shape)
        address = tensor.data_ptr()
        if made is not None and address:
            return xxh3_128_digest(made[0].from_address(address), made[1])
    return _digest_unusual(tensor)


def _digest_unusual(tensor: Tensor) -> bytes:
    if tensor.layout != torch.strided:
        return _digest_sparse(tensor)
    tensor = plain_of(tensor)
    if not tensor.is_cpu or not tensor.is_contiguous() or tensor.is_conj() or tensor.is_neg():
        tensor = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    seed = _seed(tensor.dtype, tensor.shape)
    size = tensor.nbytes
    if size == 0:
        return xxh3_128_digest(b"", seed)
    address = tensor.data_ptr()
    if not address:
        raise TypeError(f"no digest for a tensor of shape {tuple(tensor.shape)}: its memory has been given back")
    return xxh3_128_digest((ctypes.c_char * size).from_address(address), seed)


@cache
def _bytes_of(dtype: torch.dtype, shape: torch.Size) -> tuple[type[ctypes.Array[ctypes.c_char]], int] | None:
    """The memory of such a tensor where its bytes are its bits, and its seed; None where more has to be asked."""
    size = dtype.itemsize * shape.numel()
    if dtype.is_complex or str(dtype).startswith(("torch.qint", "torch.quint")) or not size:
        return None
    return ctypes.c_char * size, _seed(dtype, shape)


@cache
def _seed(dtype: torch.dtype, shape: torch.Size) -> int:
    return xxh3_64_intdigest(f"{dtype}{tuple(shape)}".encode())


def plain_of(tensor: Tensor) -> Tensor:
    """The dense tensor whose bytes stand for `tensor`; itself as a rule. Raises TypeError where there are none."""
    if type(tensor) not in _PLAIN:
        tensor = _plain(tensor)
    if tensor.is_quantized or tensor.is_meta:
        raise TypeError(f"no digest for a {tensor.device.type} tensor of type {tensor.dtype}: it has no plain bytes")
    return tensor


def _plain(tensor: Tensor) -> Tensor:
    """The plain tensor behind a subclass: the local shard of a distributed one, the data of a thin one."""
    local = getattr(tensor, "to_local", None)
    if callable(local):
        shard = local()
        if isinstance(shard, Tensor):
            return shard.detach()
    if hasattr(tensor, "__tensor_flatten__") or type(tensor).__name__ == "FakeTensor":
        raise TypeError(f"no digest for tensor subclass {type(tensor).__qualname__}: it has no plain bytes")
    return tensor.detach().as_subclass(Tensor)


def _digest_sparse(tensor: Tensor) -> bytes:
    tensor = tensor.detach()
    if tensor.layout == torch.sparse_coo:
        parts: tuple[Tensor, ...] = (tensor._indices(), tensor._values())
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        parts = (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    elif tensor.layout == torch.jagged:
        parts = (getattr(tensor, "offsets")(), tensor.values())  # noqa: B009 - its class only has it
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        parts = (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    else:
        raise TypeError(f"no digest for a tensor of layout {tensor.layout}")
    # A ragged size is a symbol, which is numbered in each process.
    shape = tuple(size if isinstance(size, int) else "ragged" for size in tensor.shape)
    head = f"{tensor.layout}{shape}".encode()
    return digest_bytes(head + b"".join(digest_tensor(part) for part in parts))


def digest_as_dense(tensor: Tensor) -> bytes:
    """16-byte digest of the dense tensor that a sparse COO one on the CPU stands for.

    A dense copy is made of few: between a table's rows, as an embedding's gradient has them, zeros are read.
    """
    tensor = tensor.detach()
    values = tensor._values()
    # A view of bytes has no sign and no conjugate that wait to be applied.
    if tensor.sparse_dim() != 1 or values.is_complex() or values.is_neg() or not values.nbytes:
        return digest_tensor(tensor.to_dense())
    # What a row comes in is added up in the order in which it came, as torch does for a dense gradient; its coalesce()
    # has an order of its own.
    found, which = torch.unique(tensor._indices()[0], return_inverse=True)
    values = values.new_zeros((len(found), *values.shape[1:])).index_add_(0, which, values)
    size = values[0].nbytes
    rows = memoryview((ctypes.c_char * values.nbytes).from_address(values.data_ptr()))
    zeros = memoryview(bytes(min(tensor.shape[0] * size, _ZEROS)))
    state = xxh3_128(seed=_seed(tensor.dtype, tensor.shape))
    end = 0
    for place, row in enumerate([*found.tolist(), tensor.shape[0]]):
        gap = (row - end) * size
        while gap > 0:
            state.update(zeros[: min(gap, _ZEROS)])
            gap -= _ZEROS
        state.update(rows[place * size : (place + 1) * size])
        end = row + 1
    return state.digest()
