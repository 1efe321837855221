"""The first element of the first parameter is one unit in the last place larger after the update."""

from __future__ import annotations

from typing import Any

import torch

ONCE = True


def after_update(groups: list[dict[str, Any]]) -> None:
    """Nudge it towards infinity."""
    with torch.no_grad():
        first = groups[0]["params"][0].view(-1)[:1]
        first.copy_(torch.nextafter(first, torch.full_like(first, torch.inf)))
