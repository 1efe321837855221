"""Lab's LAMB: each layer's step is a share of its weights."""

from __future__ import annotations

import gin
from torch import nn

from legacy_lab.optim.accumulation import Accumulation
from legacy_lab.optim.gradients import Gradients
from legacy_lab.optim.groups import Multipliers
from legacy_lab.optim.optimizer import Optimizer, Schedules


@gin.configurable
class LAMB(Optimizer):
    """LAMB, You et al. 2020, https://arxiv.org/abs/1904.00962, algorithm 2; decay inside the step, on all parameters.

    Where a weight or its step is zero the ratio counts as 1.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        decay: float = 0.0,
        accumulate: int | Accumulation = 1,
        clip_norm: float | None = None,
        multipliers: Multipliers | None = None,
        schedule: Schedules | None = None,
        gradients: Gradients | None = None,
    ) -> None:
        super().__init__(
            model, lr, decay, accumulate, clip_norm, multipliers, schedule, gradients, betas=tuple(betas), eps=eps
        )

    def update(self) -> None:
        """One update of every parameter that has a gradient."""
        step = self.steps + 1
        for group in self.groups:
            lr, (beta1, beta2), eps, decay = group["lr"], group["betas"], group["eps"], group["decay"]
            for name, parameter in zip(group["names"], group["params"], strict=True):
                if parameter.grad is None:
                    continue
                m, v = self.slot(name, parameter, "m", "v")
                m.mul_(beta1).add_(parameter.grad, alpha=1 - beta1)
                v.mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
                move = (m / (1 - beta1**step)).div_((v / (1 - beta2**step)).sqrt_().add_(eps))
                move.add_(parameter, alpha=decay)
                weight, size = float(parameter.norm()), float(move.norm())
                parameter.add_(move, alpha=-lr * (weight / size if weight > 0 and size > 0 else 1.0))
