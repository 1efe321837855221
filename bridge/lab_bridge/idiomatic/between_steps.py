"""What Lab does between two steps, as a callback."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

__all__ = ["BetweenSteps"]


class BetweenSteps(Callback):
    """Hooks, log, evaluation and checkpoints of a Lab trainer, after each step of `IdiomaticModule`.

    It stands before a user's callbacks, which see the state that Lab's hooks leave.
    """

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Between two losses of a step, or after it."""
        module: Any = pl_module
        training = module.legacy
        if trainer.fit_loop._should_accumulate():
            for hook in training.hooks:
                hook.after_batch(training)
            return
        training.mid_step = False
        if "average" in module.parts and training.ema is not None:
            training.ema.update(training.model)
        training.step += 1
        training.after_step(module.metrics)
        module.follow_end()
