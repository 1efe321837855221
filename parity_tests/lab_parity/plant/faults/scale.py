"""The gradients are 1.01 times what they should be."""

from __future__ import annotations

from typing import Any

import torch

ONCE = False
CAUSES = ("scale", "clip")  # after a clipping by norm it is another threshold
_FACTOR = 1.01


def before_update(groups: list[dict[str, Any]]) -> bool:
    """Scale them; whether there were any."""
    gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
    with torch.no_grad():
        for gradient in gradients:
            gradient.mul_(_FACTOR)
    return any(bool(gradient.any()) for gradient in gradients)
