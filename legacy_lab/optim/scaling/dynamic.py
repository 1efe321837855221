"""A loss scale that finds its own size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gin

from legacy_lab.optim.scaling.static import StaticScaler


@gin.configurable
class DynamicScaler(StaticScaler):
    """Divided by `factor` at each overflow, multiplied by it after `interval` updates without one.

    Unlike torch's, it counts updates since the last change, and never goes below `least`.
    """

    def __init__(
        self, scale_by: float = 65536.0, factor: float = 2.0, interval: int = 1000, least: float = 1.0
    ) -> None:
        super().__init__(scale_by)
        self.factor, self.interval, self.least = factor, interval, least
        self.good = 0

    def step(self, update: Callable[[], None]) -> bool:
        """Update if all was finite, then move the scale."""
        updated = super().step(update)
        self.good = self.good + 1 if updated else 0
        if not updated:
            self.scale_by = max(self.least, self.scale_by / self.factor)
        elif self.good == self.interval:
            self.scale_by, self.good = self.scale_by * self.factor, 0
        return updated

    def state(self) -> dict[str, Any]:
        """The scale and the count."""
        return {"scale_by": self.scale_by, "good": self.good}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        super().load_state(state)
        self.good = state["good"]
