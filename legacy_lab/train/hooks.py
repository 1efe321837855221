"""Hooks: a project's own code between the trainer's steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gin
from torch import Tensor

if TYPE_CHECKING:
    from legacy_lab.train.trainer import Trainer

Metrics = dict[str, Tensor]


class Hook:
    """Every method does nothing; a subclass overrides those it needs."""

    def before_train(self, trainer: Trainer) -> None:
        """Once, after a resume and before the first step."""

    def before_step(self, trainer: Trainer) -> None:
        """Before the first batch of each step; `trainer.step` counts the steps done."""

    def after_batch(self, trainer: Trainer) -> None:
        """After each loss was taken: inside a step, or (for its last one) when all that follows the step is done.

        A checkpoint that is written here can be resumed from.
        """

    def after_step(self, trainer: Trainer, metrics: Metrics) -> None:
        """After update and EMA, before logging, evaluation and checkpoint."""

    def after_save(self, trainer: Trainer, path: Path) -> None:
        """After each regular checkpoint."""

    def after_eval(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """After each evaluation."""

    def after_train(self, trainer: Trainer) -> None:
        """Once, after the last step."""


@gin.configurable
class StopOnNaN(Hook):
    """Raise `FloatingPointError` when the loss is not finite."""

    def after_step(self, trainer: Trainer, metrics: Metrics) -> None:
        """Look at the step's loss."""
        if not metrics["loss"].isfinite():
            raise FloatingPointError(
                f"step {trainer.step}: the loss is {float(metrics['loss'])}; lower the learning rate"
            )
