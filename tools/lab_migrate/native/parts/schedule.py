"""Schedules."""

from __future__ import annotations

from lab_migrate.native.parts.callbacks import anneals
from lab_migrate.native.parts.precision import may_skip
from lab_migrate.native.sheet import STANDARD, Sheet

__all__ = ["schedule"]


def schedule(sheet: Sheet) -> None:
    """The classes that say hyperparameters, and the one that writes them into an optimizer's groups."""
    listed = [one for optimizer in sheet.optimizers for one in optimizer.schedules]
    moved = [one.schedule for one in anneals(sheet)]
    classes = {one.name: one.code for one in (*listed, *moved) if one.code is not None}
    if not listed and not classes:
        return
    sheet.own["schedule.py"] = {
        "classes": list(classes.values()),
        "of_optimizers": bool(listed),
        "held": any(one.every > 1 and not one.late for one in listed),
        "late": any(one.late for one in listed),
        "by_passes": any(one.per == "epoch" for one in listed), "by_losses": any(one.per == "loss" for one in listed),
        "decay_groups": any(one.decay_multipliers is not None for one in sheet.optimizers),
        "may_skip": may_skip(sheet.trainer),
        "imports": [
            *STANDARD, "from torch.optim import Optimizer", "from torch.optim.lr_scheduler import LRScheduler",
        ],
    }  # fmt: skip
