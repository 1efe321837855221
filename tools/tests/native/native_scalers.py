"""Loss scalers of a project's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gin
from torch import Tensor, nn

from legacy_lab.optim.scaling import DynamicScaler, StaticScaler
from legacy_lab.optim.scaling.scaler import all_finite

MOST = 2.0**20


@gin.configurable
class Patient(StaticScaler):
    """Halved at an overflow, a quarter more after `patience` good updates."""

    def __init__(self, scale_by: float = 4096.0, patience: int = 2) -> None:
        super().__init__(scale_by)
        self.patience, self.good = patience, 0

    def step(self, update: Callable[[], None]) -> bool:
        """Then move."""
        updated = super().step(update)
        self.good = self.good + 1 if updated else 0
        if not updated:
            self.scale_by /= 2
        elif self.good == self.patience:
            self.scale_by, self.good = min(MOST, self.scale_by * 1.25), 0
        return updated

    def state(self) -> dict[str, Any]:
        """Both."""
        return {"scale_by": self.scale_by, "good": self.good}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        super().load_state(state)
        self.good = state["good"]


@gin.configurable
class Alone:
    """Built on nothing of Lab's; every fourth update is let go, too."""

    def __init__(self, power: int = 8) -> None:
        self.power, self.asked, self.finite = power, 0, True

    def scale(self, loss: Tensor) -> Tensor:
        """Multiply."""
        return loss * 2**self.power

    def unscale(self, parameters: Sequence[nn.Parameter]) -> None:
        """Divide."""
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(2**self.power)
        self.finite = all_finite(parameters)

    def step(self, update: Callable[[], None]) -> bool:
        """Three times of four."""
        self.asked += 1
        if not self.finite or self.asked % 4 == 0:
            self.power -= 1
            return False
        update()
        return True

    def state(self) -> dict[str, Any]:
        """Where it is."""
        return {"power": self.power, "asked": self.asked}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.power, self.asked = state["power"], state["asked"]


@gin.configurable
class Talkative(DynamicScaler):
    """Says that it has updated, whatever it did."""

    def step(self, update: Callable[[], None]) -> bool:
        """Not so."""
        super().step(update)
        return True
