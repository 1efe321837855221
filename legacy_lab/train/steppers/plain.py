"""The usual step: losses until the optimizer has updated."""

from __future__ import annotations

import gin

from legacy_lab.train.steppers.stepper import Metrics, Owner


@gin.configurable
class Plain:
    """Batch, loss, `optimizer.step(loss)`, until a window is done.

    With `skip_nan` a loss that is not finite is passed over, as if its batch had not been dealt out; at most
    `patience` times in a row, then `FloatingPointError`.
    """

    def __init__(self, skip_nan: bool = False, patience: int = 100) -> None:
        self.skip_nan, self.patience = skip_nan, patience

    def __call__(self, trainer: Owner) -> Metrics:
        """One step."""
        passed_over = 0
        while True:
            loss, metrics = trainer.compute(trainer.loader.next_batch())
            updated = False
            if self.skip_nan and not loss.isfinite():
                passed_over += 1
                if passed_over > self.patience:
                    raise FloatingPointError(
                        f"step {trainer.step}: {passed_over} losses in a row are not finite; lower the learning rate"
                    )
            else:
                passed_over = 0
                updated = trainer.optimizer.step(loss)
            if trainer.loader.epoch_ended:
                updated = trainer.optimizer.end_epoch() or updated
            if updated:
                return metrics
            for hook in trainer.hooks:
                hook.after_batch(trainer)
