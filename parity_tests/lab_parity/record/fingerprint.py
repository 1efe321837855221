"""How a tensor becomes a row: by its digest alone, or with its summary."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from lab_parity.digest import digest_tensor
from lab_parity.sketch import Summarizer
from lab_parity.trace import Key, Row, Scope

__all__ = ["Fingerprint", "digest_row", "fingerprint_for"]


class Fingerprint(Protocol):
    """Makes the row of one tensor."""

    def __call__(self, key: Key, tensor: Tensor, value: float | None = None) -> Row:
        """The row; `value` is the number itself where there is a single one."""


def digest_row(key: Key, tensor: Tensor, value: float | None = None) -> Row:
    """The tensor's digest, nothing else."""
    return Row(key, digest_tensor(tensor), value)


def fingerprint_for(scope: Scope) -> Fingerprint:
    """What the scope's level asks for."""
    if not scope.buckets:
        return digest_row
    summarize = Summarizer(scope.buckets)

    def row(key: Key, tensor: Tensor, value: float | None = None) -> Row:
        return Row(key, digest_tensor(tensor), value, summarize(tensor))

    return row
