"""Steps by closure, as Lightning takes all of them: LBFGS evaluates its loss as often as it likes."""

from __future__ import annotations

from typing import Any

import attrs

from lab_bridge.config.schema import Schema
from lab_migrate.native.labs import is_labs

__all__ = ["without_closure"]

STEPPER = "legacy_lab.train.steppers.closure.Closure"
OPTIMIZER = "legacy_lab.optim.torch_optimizer.Torch"


def without_closure(trainer: Any, schema: Schema) -> tuple[Any, tuple[str, ...]]:
    """A trainer's config without a stepper that Lightning's own step has the bits of, and what it took no notice of.

    Lightning hands torch's optimizers a closure, which zeroes, computes the loss and runs backward. Lab's step by
    closure takes one batch whatever `accumulate` says, and clips once, before the first evaluation, zeros: neither
    changes a bit, so that both settings go. Left as it is for a scaler, fp32 copies, and ways of clipping of the
    project's own, which may do more than clip.
    """
    stepper, optimizer = (schema.builder_of(part) for part in (trainer.stepper, trainer.optimizer))
    if stepper is None or stepper.target != STEPPER or optimizer is None or optimizer.target != OPTIMIZER:
        return trainer, ()
    config, gradients = trainer.optimizer, trainer.optimizer.gradients
    clip = getattr(gradients, "clip", None)
    clipping = schema.builder_of(clip) if clip is not None else None
    own = clipping is not None and not is_labs(clipping)
    scaled = getattr(gradients, "scaler", None) is not None or getattr(gradients, "masters", False)
    if own or scaled or not isinstance(config.accumulate, int):
        return trainer, ()
    idle = []
    if config.accumulate != 1:
        idle.append(f"Torch.accumulate = {config.accumulate}: Lab's step by closure takes one batch")
    if config.clip_norm is not None or clip is not None:
        idle.append(
            "the clip of gradients: Lab's step by closure clips before its first evaluation, where all are zero"
        )
    if clip is not None:
        gradients = attrs.evolve(gradients, clip=None)
    plain = attrs.evolve(config, accumulate=1, clip_norm=None, gradients=gradients)
    return attrs.evolve(trainer, stepper=None, optimizer=plain), tuple(idle)
