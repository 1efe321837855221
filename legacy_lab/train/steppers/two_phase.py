"""The step in two phases."""

from __future__ import annotations

import gin

from legacy_lab.train.steppers.stepper import Metrics, Owner


@gin.configurable
class TwoPhase:
    """One batch, `optimizer.climb(loss)`, the loss again, `optimizer.step(loss)`; for SAM."""

    def __call__(self, trainer: Owner) -> Metrics:
        """Metrics are those of the first phase, at the weights that the training has."""
        batch = trainer.loader.next_batch()
        loss, metrics = trainer.compute(batch)
        trainer.optimizer.climb(loss)
        loss, _ = trainer.compute(batch)
        trainer.optimizer.step(loss)
        if trainer.loader.epoch_ended:
            trainer.optimizer.end_epoch()
        return metrics
