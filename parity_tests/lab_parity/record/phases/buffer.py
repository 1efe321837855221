"""Buffers of the modules that hold the optimizer's parameters."""

from __future__ import annotations

from lab_parity.digest import digest_tensor
from lab_parity.record.naming import buffers
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Key, Row

__all__ = ["buffer_rows"]


def buffer_rows(view: OptimizerView) -> list[Row]:
    """One row per buffer path."""
    return [
        Row(Key("buffer", -1, name, ""), digest_tensor(buffer)) for root in view.roots for name, buffer in buffers(root)
    ]
