"""Gradients as the update saw them: accumulated, reduced, unscaled and clipped."""

from __future__ import annotations

from lab_parity.digest import digest_bytes
from lab_parity.record.fingerprint import Fingerprint
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Key, Row

__all__ = ["grad_rows"]

_NO_GRADIENT = digest_bytes(b"no gradient")


def grad_rows(view: OptimizerView, fingerprint: Fingerprint) -> list[Row]:
    """One row per parameter; a missing gradient is an observation too (None differs from zeros)."""
    return [
        Row(Key("grad", -1, name, ""), _NO_GRADIENT)
        if parameter.grad is None
        else fingerprint(Key("grad", -1, name, ""), parameter.grad)
        for name, parameter in view.parameters()
    ]
