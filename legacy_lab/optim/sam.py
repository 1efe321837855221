"""Sharpness-aware minimisation: the gradient is taken where the loss is worst nearby."""

from __future__ import annotations

from collections.abc import Callable

import gin
import torch
from torch import Tensor, nn

from legacy_lab.optim.optimizer import Optimizer
from legacy_lab.optim.wrapped import Wrapped


@gin.configurable
class SAM(Wrapped):
    """`climb(loss)` goes `radius` uphill; `step(loss)`, with the loss found there, comes back and updates.

    Foret et al. 2021, https://arxiv.org/abs/2010.01412, algorithm 1. `step_closure` does both phases at once.
    """

    def __init__(self, model: nn.Module, inner: Callable[[nn.Module], Optimizer], radius: float = 0.05) -> None:
        super().__init__(model, inner)
        self.radius = radius
        self.climbed: list[tuple[nn.Parameter, Tensor]] = []

    def climb(self, loss: Tensor) -> None:
        """First phase."""
        loss.backward()  # type: ignore[no-untyped-call]
        found = [parameter for _, parameter in self.inner.named_parameters() if parameter.grad is not None]
        norm = torch.stack([parameter.grad.norm() for parameter in found if parameter.grad is not None]).norm()
        with torch.no_grad():
            for parameter in found:
                assert parameter.grad is not None
                self.climbed.append((parameter, parameter.detach().clone()))
                parameter.add_(parameter.grad * (self.radius / (norm + 1e-12)))
        self.zero()

    def step(self, loss: Tensor) -> bool:
        """Second phase. Always True."""
        self.inner.take(loss)
        with torch.no_grad():
            for parameter, value in self.climbed:
                parameter.copy_(value)
        self.climbed.clear()
        return self.inner.finish()

    def step_closure(self, closure: Callable[[], Tensor]) -> bool:
        """Both phases, on what `closure` returns each time."""
        self.climb(closure())
        return self.step(closure())
