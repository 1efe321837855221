"""The learning rate is 1.001 times what it should be."""

from __future__ import annotations

from typing import Any

ONCE = False
CAUSES = ("lr", "schedule")
_FACTOR = 1.001


def before_update(groups: list[dict[str, Any]]) -> None:
    """Scale it for this update; the true one is kept beside it."""
    for group in groups:
        group["_lab_parity_lr"] = group["lr"]
        group["lr"] = group["lr"] * _FACTOR


def after_update(groups: list[dict[str, Any]]) -> None:
    """Put the true one back, so that a schedule goes on from it."""
    for group in groups:
        if "_lab_parity_lr" in group:
            group["lr"] = group.pop("_lab_parity_lr")
