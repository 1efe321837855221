"""What a stepper is, and what it may ask of the trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

Metrics = dict[str, Tensor]


class Owner(Protocol):
    """A trainer, as a stepper sees it."""

    model: nn.Module
    objective: Any
    loader: Any
    optimizer: Any
    step: int

    @property
    def hooks(self) -> Sequence[Any]:
        """A project's own code between steps."""
        ...

    def compute(self, batch: Any) -> tuple[Tensor, Metrics]:
        """The objective's loss and metrics, in the trainer's precision."""
        ...


class Stepper(Protocol):
    """Batches, losses and updates of one step."""

    def __call__(self, trainer: Owner) -> Metrics:
        """Take one step; metrics are those of its last loss."""
        ...
