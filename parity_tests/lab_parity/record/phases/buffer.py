"""Buffers of the modules that hold the optimizer's parameters."""

from __future__ import annotations

from lab_parity.record.fingerprint import Fingerprint
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Key, Row

__all__ = ["buffer_rows"]


def buffer_rows(view: OptimizerView, fingerprint: Fingerprint) -> list[Row]:
    """One row per buffer path."""
    return [fingerprint(Key("buffer", -1, name, ""), buffer) for name, buffer in view.buffers()]
