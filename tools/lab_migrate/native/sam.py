"""Sharpness-aware minimisation: an optimizer around another, which becomes a subclass of it with a closure."""

from __future__ import annotations

from typing import Any

import attrs

from lab_bridge.config.schema import Schema

__all__ = ["Sharpness", "without_sam"]

TARGET = "legacy_lab.optim.sam.SAM"
STEPPERS = {"legacy_lab.train.steppers.closure.Closure": False, "legacy_lab.train.steppers.two_phase.TwoPhase": True}


@attrs.frozen
class Sharpness:
    """How far it climbs, and whether metrics are those of the first of both phases."""

    radius: float
    first: bool


def without_sam(trainer: Any, schema: Schema) -> tuple[Any, Sharpness | None]:
    """A trainer's config with the inner optimizer in the place of SAM, and what that did.

    Left as it is where Lightning's closure would do other: it clips in both phases, Lab in the second only; and Lab
    climbs with the whole loss and comes back with an accumulated one's share.
    """
    outer, stepper = schema.builder_of(trainer.optimizer), schema.builder_of(trainer.stepper)
    if outer is None or outer.target != TARGET or stepper is None or stepper.target not in STEPPERS:
        return trainer, None
    inner = getattr(trainer.optimizer.inner, "config", trainer.optimizer.inner)
    gradients = getattr(inner, "gradients", None)
    clipped = getattr(inner, "clip_norm", None) is not None or getattr(gradients, "clip", None) is not None
    if (
        clipped
        or getattr(gradients, "masters", False)
        or getattr(inner, "accumulate", 1) != 1
        or getattr(gradients, "scaler", None) is not None
    ):
        return trainer, None
    found = Sharpness(trainer.optimizer.radius, STEPPERS[stepper.target])
    return attrs.evolve(trainer, optimizer=inner, stepper=None), found
