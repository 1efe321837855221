"""The largest parameter is left as it is by every update."""

from __future__ import annotations

from typing import Any

import torch

ONCE = False
CAUSES = ("frozen",)
_KEPT = "_lab_parity_kept"


def before_update(groups: list[dict[str, Any]]) -> bool:
    """Keep its value; that changes nothing yet."""
    moved = [p for group in groups for p in group["params"] if p.grad is not None and bool(p.grad.any())]
    if moved:
        largest = max(moved, key=lambda parameter: parameter.numel())
        groups[0][_KEPT] = (largest, largest.detach().clone())
    return False


def after_update(groups: list[dict[str, Any]]) -> bool:
    """Put it back; whether it had moved."""
    if _KEPT not in groups[0]:
        return False
    parameter, value = groups[0].pop(_KEPT)
    moved = not torch.equal(parameter, value)
    with torch.no_grad():
        parameter.copy_(value)
    return moved
