"""Lab's SGD with momentum."""

from __future__ import annotations

from collections.abc import Mapping

import gin
from torch import nn

from legacy_lab.optim.accumulation import Accumulation
from legacy_lab.optim.gradients import Gradients
from legacy_lab.optim.groups import Multipliers
from legacy_lab.optim.optimizer import Optimizer, Schedules


@gin.configurable
class SGD(Optimizer):
    """`m = momentum · m + lr · g; p = p - m`: the learning rate enters the momentum, unlike in torch's."""

    def __init__(
        self,
        model: nn.Module,
        lr: float = 0.1,
        momentum: float = 0.9,
        decay: float = 0.0,
        accumulate: int | Accumulation = 1,
        clip_norm: float | None = None,
        multipliers: Multipliers | None = None,
        schedule: Schedules | None = None,
        gradients: Gradients | None = None,
        decay_multipliers: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(
            model,
            lr,
            decay,
            accumulate,
            clip_norm,
            multipliers,
            schedule,
            gradients,
            decay_multipliers,
            momentum=momentum,
        )

    def update(self) -> None:
        """One update of every parameter; decay as in Adam, decoupled and off vectors."""
        for group in self.groups:
            lr, momentum, decay = group["lr"], group["momentum"], group["decay"]
            for name, parameter in zip(group["names"], group["params"], strict=True):
                if parameter.grad is None:
                    continue
                (m,) = self.slot(name, parameter, "m")
                m.mul_(momentum).add_(parameter.grad, alpha=lr)
                if decay and parameter.dim() >= 2:
                    parameter.mul_(1 - lr * decay)
                parameter.sub_(m)
