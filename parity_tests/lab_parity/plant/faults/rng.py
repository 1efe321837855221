"""Somebody draws one number more from torch's global generator."""

from __future__ import annotations

from typing import Any

import torch

ONCE = True
CAUSES = ("rng",)


def before_update(groups: list[dict[str, Any]]) -> None:
    """Draw and drop it."""
    torch.rand(1)
