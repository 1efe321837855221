"""Sharpness-aware minimisation: an optimizer around another, which becomes a subclass of it with a closure."""

from __future__ import annotations

from typing import Any

import attrs

from lab_bridge.config.schema import Schema
from lab_migrate.native.refused import NotNativeError

__all__ = ["Sharpness", "without_sam"]

TARGET = "legacy_lab.optim.sam.SAM"
STEPPERS = {"legacy_lab.train.steppers.closure.Closure": False, "legacy_lab.train.steppers.two_phase.TwoPhase": True}


#: Ways of clipping that look at gradients only.
CLIPS = ("ClipNorm", "ClipPerBlock", "ClipTorchNorm", "ClipValue")


@attrs.frozen
class Sharpness:
    """How far it climbs, whether metrics are those of the first of both phases, and of how many the second loss is one.

    Lab climbs with the whole loss and comes back with an accumulated one's share, whatever it is a share of: a step
    takes one batch.
    """

    radius: float
    first: bool
    share: int = 1


def without_sam(trainer: Any, schema: Schema) -> tuple[Any, Sharpness | None, tuple[NotNativeError, ...]]:
    """A trainer's config with the inner optimizer in the place of SAM, what that did, and what stands against it.

    That is where Lightning's closure would do other: a clip that looks at the weights finds those that SAM came back
    to in Lab.
    """
    outer, stepper = schema.builder_of(trainer.optimizer), schema.builder_of(trainer.stepper)
    if outer is None or outer.target != TARGET or stepper is None or stepper.target not in STEPPERS:
        return trainer, None, ()
    inner = getattr(trainer.optimizer.inner, "config", trainer.optimizer.inner)
    gradients = getattr(inner, "gradients", None)
    clip = getattr(gradients, "clip", None)
    refused = []
    if clip is not None and type(clip).__name__ not in CLIPS:
        refused.append(f"clips by {type(clip).__name__}, which may look at the weights that it came back to")
    accumulate = getattr(inner, "accumulate", 1)
    every, form = int(getattr(accumulate, "every", accumulate)), getattr(accumulate, "form", "mean")
    if every > 1 and (form == "grads" or getattr(accumulate, "leftover", "carry") == "count"):
        refused.append("accumulates by dividing gradients, of which there are one loss's")
    if getattr(gradients, "scaler", None) is not None:
        refused.append("scales its second loss only")
    if getattr(gradients, "masters", False):
        refused.append("updates fp32 copies, whose gradients Lab does not have where it climbs")
    found = Sharpness(trainer.optimizer.radius, STEPPERS[stepper.target], every if form == "mean" else 1)
    if every > 1:
        inner = attrs.evolve(inner, accumulate=1)
    return attrs.evolve(trainer, optimizer=inner, stepper=None), found, tuple(map(_refused, refused))


def _refused(what: str) -> NotNativeError:
    return NotNativeError(
        "LM405", f"the optimizer in SAM {what}, which has no native form",
        "drop that from the config, or stay at level L2",
    )  # fmt: skip
