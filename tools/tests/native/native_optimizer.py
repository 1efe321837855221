"""An optimizer that a project built on Lab's base."""

from __future__ import annotations

from typing import Any

import gin
import torch
from torch import Tensor, nn

from legacy_lab.optim.optimizer import Optimizer


def softened(move: Tensor) -> Tensor:
    """Between a sign and a step."""
    return move / (move.abs() + 1e-3)


@gin.configurable
class SignSteps(Optimizer):
    """Each parameter goes against its gradient's sign, averaged over time; vectors half as fast."""

    def __init__(
        self,
        model: nn.Module,
        lr: float = 0.01,
        beta: float = 0.9,
        clip_norm: Any = None,
        schedule: Any = None,
        verbose=False,  # type: ignore[no-untyped-def]  # as projects have it
    ) -> None:
        super().__init__(model, lr, clip_norm=clip_norm, schedule=schedule, beta=beta, floor=0.5)
        self.verbose = verbose  # kept to itself: Lab's base knows nothing of it

    def update(self) -> None:
        """One step."""
        count = self.steps + 1
        for group in self.groups:
            # at first the average is small
            scale = 1 - group["beta"] ** count
            for name, parameter in zip(group["names"], group["params"], strict=True):
                if parameter.grad is not None:
                    (mean,) = self.slot(name, parameter, "mean")
                    mean.mul_(group["beta"]).add_(parameter.grad, alpha=1 - group["beta"])
                    rate = group["lr"] * (group["floor"] if parameter.dim() < 2 else 1.0)
                    parameter.sub_(softened(mean / scale), alpha=rate)


@gin.configurable
class Heated(Optimizer):
    """Gradients get noise that dies out, by settings of its own; the count is asked ahead of two loops."""

    def __init__(
        self, model: nn.Module, lr: float = 0.01, heat: float = 0.1, power: float = 0.5, **settings: Any
    ) -> None:
        super().__init__(model, lr, **settings)
        self.heat, self.power = heat, power

    def update(self) -> None:
        """Twice over the groups."""
        count = self.steps + 1
        heat = self.heat / (1 + self.steps) ** self.power
        for group in self.groups:
            for parameter in group["params"]:
                parameter.grad.add_(torch.randn_like(parameter), alpha=heat)
        for group in self.groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                (mean,) = self.slot(name, parameter, "mean")
                mean.lerp_(parameter.grad, 1 / count)
                parameter.sub_(mean * (1 + self.steps), alpha=group["lr"])
