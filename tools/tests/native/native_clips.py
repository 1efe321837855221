"""Ways of clipping that a project built on Lab's base."""

from __future__ import annotations

from typing import Any

import gin
from torch import Tensor

from legacy_lab.optim.clipping import Clip


def share(gradient: Tensor, limit: float) -> Tensor:
    """Between the gradient and its sign."""
    return gradient / (1 + gradient.abs() / limit)


@gin.configurable
class Soft(Clip):
    """Each element goes smoothly to a bound."""

    def __call__(self, parameters: Any, limit: float) -> None:
        """Bend."""
        for _, parameter in parameters:
            parameter.grad.copy_(share(parameter.grad, limit))  # no norm


@gin.configurable
class Slow(Clip):
    """The norm of all is bounded by a multiple of its running mean; biases are left alone."""

    def __init__(self, limit: float, reach: str = "optimizer", memory: float = 0.9) -> None:
        super().__init__(limit, reach)
        self.memory = memory
        self.mean: float | None = None

    def norm(self, gradients: list[Tensor]) -> float:
        """Of all."""
        return float(sum(float(gradient.square().sum()) for gradient in gradients)) ** 0.5

    def __call__(self, parameters: Any, limit: float) -> float:
        """Scale."""
        gradients = [parameter.grad for name, parameter in parameters if not name.endswith("bias")]
        norm = self.norm(gradients)
        self.mean = norm if self.mean is None else self.memory * self.mean + (1 - self.memory) * norm
        if norm > limit * self.mean:
            for gradient in gradients:
                gradient.mul_(limit * self.mean / norm)
        return norm
