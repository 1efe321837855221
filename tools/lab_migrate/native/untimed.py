"""Schedules that count something that a native training cannot tell from its updates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab_bridge.config.schema import Schema
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.schedules import timed_schedules
from lab_migrate.native.windows import windows_of

__all__ = ["untimed"]


def untimed(optimizer: Any, loader: Any, stepper: str, schema: Schema, trainer: Any) -> Iterator[NotNativeError]:
    """Why a schedule of an optimizer by windows, losses or epochs is no function of the number of updates.

    `stepper` is the class of Lab's stepper that takes the steps. As long as each update takes as many losses, and no
    scaler skips one, losses and passes follow from updates.
    """
    accumulate = getattr(optimizer, "accumulate", 1)
    several = int(getattr(accumulate, "every", accumulate)) > 1
    for _, per, every, late in timed_schedules(getattr(optimizer, "schedule", None)):
        why = None
        if per == "update":
            continue
        if getattr(getattr(optimizer, "gradients", None), "scaler", None) is not None:
            why = "beside a loss scaler, which may skip updates"
        elif stepper != "Plain" and (per != "window" or stepper != "Adversarial"):
            why = f"beside Trainer.stepper, which is {stepper}"
        elif stepper == "Plain" and windows_of(trainer) is not None and per != "window":
            why = "beside steps that take now more, now fewer losses"
        elif per == "epoch" and not _is_labs_own(loader, schema):
            why = "and the loader does not say how many batches one has"
        elif per == "epoch" and not late and every > 1 and several:
            why = "before an update, and not each time: a pass without one might be that which is due"
        if why is not None:
            yield NotNativeError(
                "LM405", f"a schedule is asked by each {per} ({'after' if late else 'before'}), {why}",
                "ask it by updates (Timed.per), or stay at level L2",
            )  # fmt: skip


def _is_labs_own(loader: Any, schema: Schema) -> bool:
    """Whether batches come from Lab's own loader, which the native training has as plain code."""
    builder = schema.builder_of(getattr(loader, "config", loader))
    return builder is not None and builder.target == "legacy_lab.data.loader.Loader"
