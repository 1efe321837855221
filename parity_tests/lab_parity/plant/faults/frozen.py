"""The largest parameter is left as it is by every update."""

from __future__ import annotations

from typing import Any

import torch

ONCE = False
CAUSES = ("frozen",)
_KEPT = "_lab_parity_kept"


def before_update(groups: list[dict[str, Any]]) -> bool:
    """Keep its value; whether it has a gradient that could move it."""
    moved = [p for group in groups for p in group["params"] if p.grad is not None and bool(p.grad.any())]
    if not moved:
        return False
    largest = max(moved, key=lambda parameter: parameter.numel())
    groups[0][_KEPT] = (largest, largest.detach().clone())
    return True


def after_update(groups: list[dict[str, Any]]) -> None:
    """Put it back."""
    if _KEPT in groups[0]:
        parameter, value = groups[0].pop(_KEPT)
        with torch.no_grad():
            parameter.copy_(value)
