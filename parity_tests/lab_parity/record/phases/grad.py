"""Gradients as the update saw them: accumulated, reduced, unscaled and clipped."""

from __future__ import annotations

import torch

from lab_parity.digest import NO_GRADIENT
from lab_parity.record.fingerprint import Fingerprint, row_by_value
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Key, Row

__all__ = ["grad_rows"]


def grad_rows(view: OptimizerView, fingerprint: Fingerprint) -> list[Row]:
    """One row per parameter; a missing gradient is an observation too (None differs from zeros).

    A sparse one has the fingerprint of the dense one that it stands for.
    """
    found = ((name, view.gradient(parameter)) for name, parameter in view.parameters())
    return [
        Row(Key("grad", -1, name, ""), NO_GRADIENT)
        if gradient is None
        else fingerprint(Key("grad", -1, name, ""), gradient)
        if gradient.layout is torch.strided
        else row_by_value(Key("grad", -1, name, ""), gradient, fingerprint)
        for name, gradient in found
    ]
