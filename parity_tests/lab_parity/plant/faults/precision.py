"""After each update the parameters are rounded to bfloat16."""

from __future__ import annotations

from typing import Any

import torch

ONCE = False
CAUSES = ("precision",)


def after_update(groups: list[dict[str, Any]]) -> bool:
    """Round them; whether any was of a higher precision."""
    parameters = [p for group in groups for p in group["params"] if p.dtype in (torch.float32, torch.float64)]
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(parameter.bfloat16())
    return bool(parameters)
