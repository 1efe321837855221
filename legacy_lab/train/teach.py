"""The teacher of a distillation follows its student."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gin

from legacy_lab.train.hooks import Hook, Metrics

if TYPE_CHECKING:
    from legacy_lab.train.trainer import Trainer


@gin.configurable
class Teach(Hook):
    """After each step `objective.teach(model)`."""

    def after_step(self, trainer: Trainer, metrics: Metrics) -> None:
        """Raises `AttributeError` for an objective that has no teacher."""
        if not hasattr(trainer.objective, "teach"):
            raise AttributeError(
                f"Teach: expected an objective with teach(model), found {type(trainer.objective).__name__}"
            )
        trainer.objective.teach(trainer.model)
