"""After each update the parameters are rounded to bfloat16."""

from __future__ import annotations

from typing import Any

import torch

ONCE = False
CAUSES = ("precision",)


def after_update(groups: list[dict[str, Any]]) -> bool:
    """Round them; whether that changed any."""
    parameters = [p for group in groups for p in group["params"] if p.dtype in (torch.float32, torch.float64)]
    changed = False
    with torch.no_grad():
        for parameter in parameters:
            rounded = parameter.bfloat16().to(parameter.dtype)
            changed = changed or not torch.equal(rounded, parameter)
            parameter.copy_(rounded)
    return changed
