"""The learning rate is 1.001 times what it should be."""

from __future__ import annotations

from typing import Any

ONCE = False
CAUSES = ("lr", "schedule")
_FACTOR = 1.001


def before_update(groups: list[dict[str, Any]]) -> bool:
    """Scale it for this update; the true one is kept beside it. Whether there is one that is not zero."""
    for group in groups:
        if "lr" in group:
            group["_lab_parity_lr"] = group["lr"]
            group["lr"] = group["lr"] * _FACTOR
    return minds(groups)


def after_update(groups: list[dict[str, Any]]) -> bool:
    """Put the true one back, so that a schedule goes on from it; changes nothing more."""
    for group in groups:
        if "_lab_parity_lr" in group:
            group["lr"] = group.pop("_lab_parity_lr")
    return False


def minds(groups: list[dict[str, Any]]) -> bool:
    """Whether there is a rate that is not zero."""
    return any(bool(group.get("lr", 0)) for group in groups)
