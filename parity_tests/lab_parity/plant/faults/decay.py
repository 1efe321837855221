"""Biases and norms (parameters of at most one dimension) decay, which they should not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ONCE = False
CAUSES = ("decay",)
_DECAY = 0.01
_KEPT = "_lab_parity_decayed"


def before_update(groups: list[dict[str, Any]]) -> bool:
    """Keep their values; whether there are any but zeros."""
    kept = _decaying(groups)
    groups[0][_KEPT] = [(parameter, parameter.detach().clone(), rate) for parameter, rate in kept]
    return bool(kept)


def after_update(groups: list[dict[str, Any]]) -> bool:
    """Decoupled decay, as AdamW does it (Loshchilov and Hutter 2019, algorithm 2). It has been noted before."""
    with torch.no_grad():
        for parameter, value, rate in groups[0].pop(_KEPT, ()):
            parameter.sub_(value, alpha=rate * _DECAY)
    return False


def minds(groups: list[dict[str, Any]]) -> bool:
    """Whether there are any but zeros, and a rate."""
    return bool(_decaying(groups))


def _decaying(groups: list[dict[str, Any]]) -> list[tuple[Tensor, float]]:
    return [
        (parameter, float(group["lr"]))
        for group in groups
        for parameter in group["params"]
        if parameter.ndim <= 1 and group.get("lr") and bool(parameter.any())
    ]
