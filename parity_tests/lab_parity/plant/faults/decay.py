"""Biases and norms (parameters of at most one dimension) decay, which they should not."""

from __future__ import annotations

from typing import Any

import torch

ONCE = False
CAUSES = ("decay",)
_DECAY = 0.01
_KEPT = "_lab_parity_decayed"


def before_update(groups: list[dict[str, Any]]) -> bool:
    """Keep their values; whether there are any but zeros."""
    kept = [
        (parameter, parameter.detach().clone(), group["lr"])
        for group in groups
        for parameter in group["params"]
        if parameter.ndim <= 1
    ]
    groups[0][_KEPT] = kept
    return any(bool(value.any()) for _, value, _ in kept)


def after_update(groups: list[dict[str, Any]]) -> None:
    """Decoupled decay, as AdamW does it (Loshchilov and Hutter 2019, algorithm 2)."""
    with torch.no_grad():
        for parameter, value, rate in groups[0].pop(_KEPT):
            parameter.sub_(value, alpha=float(rate) * _DECAY)
