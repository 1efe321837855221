"""Each element of a gradient is clipped at a tenth of the largest one."""

from __future__ import annotations

from typing import Any

import torch

ONCE = False
CAUSES = ("clip",)
_PART = 0.1


def before_update(groups: list[dict[str, Any]]) -> bool:
    """Clip them by value, all at one threshold; whether anything was above it."""
    gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
    largest = max((float(gradient.abs().max()) for gradient in gradients if gradient.numel()), default=0.0)
    with torch.no_grad():
        for gradient in gradients:
            gradient.clamp_(-_PART * largest, _PART * largest)
    return largest > 0
