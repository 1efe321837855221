"""A weight inside the loss that moves with the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gin

from legacy_lab.optim.schedule import Schedule
from legacy_lab.train.hooks import Hook

if TYPE_CHECKING:
    from legacy_lab.train.trainer import Trainer


@gin.configurable
class Anneal(Hook):
    """Sets the objective's attribute `of` before each step to what `schedule` says of the number of steps done.

    A schedule names what it moves; here its only value counts, under whatever name.
    """

    def __init__(self, of: str, schedule: Schedule) -> None:
        self.of, self.schedule = of, schedule

    def before_train(self, trainer: Trainer) -> None:
        """Set it for the rest of a step in which a checkpoint was written."""
        if trainer.mid_step:
            self.before_step(trainer)

    def before_step(self, trainer: Trainer) -> None:
        """Set it. Raises `AttributeError` for an objective that has no such weight."""
        if not hasattr(trainer.objective, self.of):
            raise AttributeError(
                f"Anneal.of: expected an attribute of {type(trainer.objective).__name__}, found none named {self.of!r}"
            )
        (value,) = self.schedule(trainer.step).values()
        setattr(trainer.objective, self.of, value)
