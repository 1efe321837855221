"""Parameters: once before the first update (phase config), then after each."""

from __future__ import annotations

from lab_parity.record.fingerprint import Fingerprint
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Key, Row

__all__ = ["param_rows"]


def param_rows(view: OptimizerView, phase: str, fingerprint: Fingerprint) -> list[Row]:
    """One row per parameter; `phase` is "param", or "config" for the initial weights."""
    return [fingerprint(Key(phase, -1, name, ""), parameter) for name, parameter in view.parameters()]
