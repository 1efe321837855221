"""Lab's Adam: epsilon under the root, decay decoupled and kept off vectors."""

from __future__ import annotations

from collections.abc import Mapping

import gin
from torch import nn

from legacy_lab.optim.accumulation import Accumulation
from legacy_lab.optim.gradients import Gradients
from legacy_lab.optim.groups import Multipliers
from legacy_lab.optim.optimizer import Optimizer, Schedules


@gin.configurable
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1) as Lab wrote it.

    Unlike torch's, epsilon is added under the square root, `m̂ / sqrt(v̂ + eps)`; decay is decoupled, happens before
    the update, and spares parameters of fewer than two dimensions (biases, norms).
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
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
            betas=tuple(betas),
            eps=eps,
        )

    def update(self) -> None:
        """One Adam update of every parameter."""
        for group in self.groups:
            lr, (beta1, beta2), eps, decay = group["lr"], group["betas"], group["eps"], group["decay"]
            correction1, correction2 = 1 - beta1 ** (self.steps + 1), 1 - beta2 ** (self.steps + 1)
            for name, parameter in zip(group["names"], group["params"], strict=True):
                if parameter.grad is None:
                    continue
                m, v = self.slot(name, parameter, "m", "v")
                m.mul_(beta1).add_(parameter.grad, alpha=1 - beta1)
                v.mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
                if decay and parameter.dim() >= 2:
                    parameter.mul_(1 - lr * decay)
                parameter.addcdiv_(m, (v / correction2).add_(eps).sqrt_(), value=-lr / correction1)
