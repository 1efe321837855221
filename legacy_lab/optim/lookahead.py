"""Lookahead: slow weights that follow fast ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gin
import torch
from torch import Tensor, nn

from legacy_lab.optim.optimizer import Optimizer
from legacy_lab.optim.wrapped import Wrapped


@gin.configurable
class Lookahead(Wrapped):
    """Every `every` updates the slow weights go a share `alpha` of the way to the fast ones, which start from there.

    Zhang et al. 2019, https://arxiv.org/abs/1907.08610, algorithm 1.
    """

    def __init__(
        self, model: nn.Module, inner: Callable[[nn.Module], Optimizer], every: int = 5, alpha: float = 0.5
    ) -> None:
        super().__init__(model, inner)
        self.every, self.alpha = every, alpha
        self.slow = [parameter.detach().clone() for _, parameter in self.inner.named_parameters()]

    def step(self, loss: Tensor) -> bool:
        """Also follow, where it is time."""
        before = self.steps
        return self._followed(before, self.inner.step(loss))

    def end_epoch(self) -> bool:
        """Also follow, where it is time."""
        before = self.steps
        return self._followed(before, self.inner.end_epoch())

    def state(self) -> dict[str, Any]:
        """With the slow weights."""
        return {**super().state(), "slow": [slow.clone() for slow in self.slow]}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        super().load_state(state)
        pairs = zip(state["slow"], self.inner.named_parameters(), strict=True)
        self.slow = [slow.to(parameter.device, copy=True) for slow, (_, parameter) in pairs]

    def _followed(self, before: int, done: bool) -> bool:
        if self.steps > before and self.steps % self.every == 0:
            with torch.no_grad():
                for slow, (_, parameter) in zip(self.slow, self.inner.named_parameters(), strict=True):
                    slow.add_(parameter - slow, alpha=self.alpha)
                    parameter.copy_(slow)
        return done
