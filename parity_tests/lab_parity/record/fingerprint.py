"""How a tensor becomes a row: by its digest alone, or with its summary.

What lives on an accelerator is fingerprinted there, without waiting for it: rows then hold stand-ins, which
`settled_rows` replaces when the step is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor

from lab_parity.device_digest import Pending, pending_digest, settled
from lab_parity.digest import digest_as_dense, digest_tensor
from lab_parity.sketch import Summarizer
from lab_parity.trace import Key, Row, Scope

__all__ = [
    "Fingerprint",
    "digest_of",
    "digest_row",
    "fingerprint_for",
    "on_device",
    "row_by_value",
    "settled_rows",
    "value_of",
]


class Fingerprint(Protocol):
    """Makes the row of one tensor."""

    def __call__(self, key: Key, tensor: Tensor, value: float | None = None) -> Row:
        """The row; `value` is the number itself where there is a single one."""


def digest_of(tensor: Tensor) -> bytes:
    """The tensor's digest, or a stand-in for it."""
    if _on_cpu(tensor) or tensor.layout != torch.strided:
        return digest_tensor(tensor)
    return cast(bytes, pending_digest(tensor))


def value_of(tensor: Tensor) -> float | None:
    """A single real number's value, or a stand-in for it; None for all else."""
    if tensor.numel() != 1 or tensor.is_complex():
        return None
    if _on_cpu(tensor):
        return float(tensor.detach())
    return cast(float, tensor.detach().reshape(()).to(torch.float64, copy=True))


def _on_cpu(tensor: Tensor) -> bool:
    return tensor.is_cpu or tensor.is_meta


def on_device(rows: Sequence[Row]) -> bool:
    """Whether stand-ins are among the rows."""
    return any(isinstance(row.digest, Pending) for row in rows)


def settled_rows(rows: list[Row]) -> list[Row]:
    """The rows with all that was waited for: two transfers from each device."""
    places = [place for place, row in enumerate(rows) if isinstance(row.digest, Pending)]
    if not places:
        return rows
    rows = list(rows)
    found = settled([cast(Pending, rows[place].digest) for place in places])
    for place, digest in zip(places, found, strict=True):
        rows[place] = rows[place]._replace(digest=digest)
    places = [place for place, row in enumerate(rows) if isinstance(row.value, Tensor)]
    if places:
        values = torch.stack([cast(Tensor, rows[place].value) for place in places]).cpu().tolist()
        for place, value in zip(places, values, strict=True):
            rows[place] = rows[place]._replace(value=value)
    return rows


def digest_row(key: Key, tensor: Tensor, value: float | None = None) -> Row:
    """The tensor's digest, nothing else."""
    return Row(key, digest_of(tensor), value)


def row_by_value(key: Key, tensor: Tensor, fingerprint: Fingerprint) -> Row:
    """The row of the dense tensor that a sparse one stands for."""
    if tensor.is_cpu and tensor.layout == torch.sparse_coo:
        return fingerprint(key, tensor)._replace(digest=digest_as_dense(tensor))
    return fingerprint(key, tensor.detach().to_dense())


def fingerprint_for(scope: Scope) -> Fingerprint:
    """What the scope's level asks for."""
    if not scope.buckets:
        return digest_row
    summarize = Summarizer(scope.buckets)

    def row(key: Key, tensor: Tensor, value: float | None = None) -> Row:
        return Row(key, digest_of(tensor), value, summarize(tensor))

    return row
