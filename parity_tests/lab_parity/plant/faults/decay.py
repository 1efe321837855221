"""Biases and norms (parameters of at most one dimension) decay, which they should not."""

from __future__ import annotations

from typing import Any

import torch

ONCE = False
_DECAY = 0.01


def before_update(groups: list[dict[str, Any]]) -> None:
    """Decoupled decay, as AdamW does it (Loshchilov and Hutter 2019, algorithm 2)."""
    with torch.no_grad():
        for group in groups:
            for parameter in group["params"]:
                if parameter.ndim <= 1:
                    parameter.mul_(1 - group["lr"] * _DECAY)
