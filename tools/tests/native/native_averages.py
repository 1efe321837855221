"""Averages that a project built on Lab's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import gin
import torch
from torch import Tensor, nn

from legacy_lab.train.ema import EMA


def share(update: int, power: float) -> float:
    """Of the average, at an update."""
    return (1 - 1 / (update + 1)) ** (power + 1)


@gin.configurable
class Powered(EMA):
    """An average whose memory grows with the training (https://arxiv.org/abs/2312.02696)."""

    def __init__(self, power: float = 6.94, buffers: bool = False) -> None:
        super().__init__(warmup=False, buffers=buffers)
        self.power = power

    def update(self, model: nn.Module) -> None:
        """By the power law."""
        self.decay = share(self.updates + 1, self.power)
        super().update(model)


@gin.configurable
class Belated(EMA):
    """Follows every `every`-th update from `start` on, with noise; nothing is evaluated with it before."""

    def __init__(self, decay: float = 0.9, start: int = 3, every: int = 1) -> None:
        super().__init__(decay, warmup=False)
        self.start, self.every, self.seen = start, every, 0

    def update(self, model: nn.Module) -> None:
        """As Lab's, later."""
        self.seen += 1
        if self.seen <= self.start or self.seen % self.every:
            return
        super().update(model)
        with torch.no_grad():
            for tensor in self.average.values():
                tensor.add_(torch.randn_like(tensor), alpha=1e-3)  # keeps it moving

    def tensors(self, model: nn.Module) -> dict[str, Tensor]:
        """Matrices only."""
        return {name: tensor for name, tensor in super().tensors(model).items() if tensor.dim() > 1}

    @contextlib.contextmanager
    def swapped(self, model: nn.Module) -> Iterator[None]:
        """In training mode."""
        with super().swapped(model):
            model.train()
            yield
        model.eval()

    def state(self) -> dict[str, Any]:
        """With the count."""
        return {**super().state(), "seen": self.seen}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        super().load_state(state)
        self.seen = state["seen"]


@gin.configurable
class Rounded(Powered):
    """The same, rounded."""

    def update(self, model: nn.Module) -> None:
        """To bfloat16."""
        super().update(model)
        for name, tensor in self.average.items():
            self.average[name] = tensor.bfloat16().to(tensor.dtype)
