"""Lab's RAdam: Adam without a warm-up."""

from __future__ import annotations

import gin
from torch import nn

from legacy_lab.optim.accumulation import Accumulation
from legacy_lab.optim.gradients import Gradients
from legacy_lab.optim.groups import Multipliers
from legacy_lab.optim.optimizer import Optimizer, Schedules


@gin.configurable
class RAdam(Optimizer):
    """Rectified Adam, Liu et al. 2020, https://arxiv.org/abs/1908.03265, algorithm 2; decay decoupled.

    As long as the variance of the adaptive rate is intractable (rho at most 5), momentum alone.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
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
            correction1, correction2 = 1 - beta1**step, 1 - beta2**step
            longest = 2 / (1 - beta2) - 1
            rho = longest - 2 * step * beta2**step / correction2
            for name, parameter in zip(group["names"], group["params"], strict=True):
                if parameter.grad is None:
                    continue
                m, v = self.slot(name, parameter, "m", "v")
                m.mul_(beta1).add_(parameter.grad, alpha=1 - beta1)
                v.mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
                if decay:
                    parameter.mul_(1 - lr * decay)
                if rho > 5:
                    share = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
                    rate = lr * (share * correction2) ** 0.5 / correction1
                    parameter.addcdiv_(m, v.sqrt().add_(eps), value=-rate)
                else:
                    parameter.add_(m, alpha=-lr / correction1)
