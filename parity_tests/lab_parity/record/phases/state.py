"""The optimizer's state after the update, by parameter."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lab_parity.digest import digest_bytes
from lab_parity.record.fingerprint import Fingerprint, row_by_value
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Key, Row

__all__ = ["state_rows"]


def state_rows(view: OptimizerView, fingerprint: Fingerprint) -> list[Row]:
    """One row per state entry; a single number keeps its value."""
    return [
        _row(Key("optimizer", -1, name, str(field)), value, fingerprint)
        for name, _ in view.parameters()
        for field, value in view.state.get(name, {}).items()
        if isinstance(value, (Tensor, bool, int, float)) or value is None
    ]


def _row(key: Key, value: Any, fingerprint: Fingerprint) -> Row:
    if isinstance(value, Tensor):
        if value.layout is not torch.strided:  # a momentum of sparse gradients
            return row_by_value(key, value, fingerprint)
        single = value.is_cpu and value.ndim == 0 and not value.is_complex()
        return fingerprint(key, value, float(value) if single else None)
    return Row(key, digest_bytes(repr(value).encode()), None if value is None else float(value))
