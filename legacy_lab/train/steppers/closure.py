"""The step of optimizers that evaluate the loss themselves."""

from __future__ import annotations

import gin
from torch import Tensor

from legacy_lab.train.steppers.stepper import Metrics, Owner


@gin.configurable
class Closure:
    """One batch, and `optimizer.step_closure` with a function that computes its loss; for LBFGS and SAM."""

    def __call__(self, trainer: Owner) -> Metrics:
        """Metrics are those of the last evaluation."""
        batch = trainer.loader.next_batch()
        found: Metrics = {}

        def loss() -> Tensor:
            value, metrics = trainer.compute(batch)
            found.update(metrics)
            return value

        trainer.optimizer.step_closure(loss)
        if trainer.loader.epoch_ended:
            trainer.optimizer.end_epoch()
        return found
