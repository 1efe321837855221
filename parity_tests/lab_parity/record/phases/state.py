"""The optimizer's state after the update, by parameter."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lab_parity.digest import digest_bytes, digest_tensor
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Key, Row

__all__ = ["state_rows"]


def state_rows(view: OptimizerView) -> list[Row]:
    """One row per state entry; a single number keeps its value."""
    return [
        Row(Key("optimizer", -1, name, str(field)), *_seen(value))
        for name, _ in view.parameters()
        for field, value in view.state.get(name, {}).items()
        if isinstance(value, (Tensor, bool, int, float)) or value is None
    ]


def _seen(value: Any) -> tuple[bytes, float | None]:
    if isinstance(value, Tensor):
        single = value.ndim == 0 and value.device.type == "cpu" and not value.is_complex()
        return digest_tensor(value), float(value) if single else None
    return digest_bytes(repr(value).encode()), None if value is None else float(value)
