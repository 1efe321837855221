"""A loss scale that never changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gin
from torch import Tensor, nn

from legacy_lab.optim.scaling.scaler import all_finite


@gin.configurable
class StaticScaler:
    """Losses times `scale_by`; an update whose gradients overflowed is skipped, and nothing else follows."""

    def __init__(self, scale_by: float = 1024.0) -> None:
        self.scale_by = scale_by
        self.finite = True

    def scale(self, loss: Tensor) -> Tensor:
        """Multiply."""
        return loss * self.scale_by

    def unscale(self, parameters: Sequence[nn.Parameter]) -> None:
        """Multiply by the reciprocal, and look whether all is finite."""
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(1.0 / self.scale_by)
        self.finite = all_finite(parameters)

    def step(self, update: Callable[[], None]) -> bool:
        """Update if all was finite."""
        if self.finite:
            update()
        return self.finite

    def state(self) -> dict[str, Any]:
        """The scale."""
        return {"scale_by": self.scale_by}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.scale_by = state["scale_by"]
