"""Steps by closure, as Lightning takes all of them: LBFGS evaluates its loss as often as it likes."""

from __future__ import annotations

from typing import Any

import attrs

from lab_bridge.config.schema import Schema

__all__ = ["without_closure"]

STEPPER = "legacy_lab.train.steppers.closure.Closure"
OPTIMIZER = "legacy_lab.optim.torch_optimizer.Torch"


def without_closure(trainer: Any, schema: Schema) -> Any:
    """A trainer's config without a stepper that Lightning's own step has the bits of.

    Lightning hands torch's optimizers a closure, which zeroes, computes the loss and runs backward. It would also clip
    there, where Lab clips once before all evaluations; and Lab's step by closure takes no notice of accumulation.
    """
    stepper, optimizer = (schema.builder_of(part) for part in (trainer.stepper, trainer.optimizer))
    if stepper is None or stepper.target != STEPPER or optimizer is None or optimizer.target != OPTIMIZER:
        return trainer
    config = trainer.optimizer
    clipped = config.clip_norm is not None or getattr(config.gradients, "clip", None) is not None
    scaled = getattr(config.gradients, "scaler", None) is not None or getattr(config.gradients, "masters", False)
    if config.accumulate != 1 or clipped or scaled:
        return trainer
    return attrs.evolve(trainer, stepper=None)
