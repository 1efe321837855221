"""An exponential moving average of the parameters, swapped in for evaluation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import gin
import torch
from torch import Tensor, nn


@gin.configurable
class EMA:
    """`a = d · a + (1 - d) · p` with `d = min(decay, (1 + n) / (10 + n))` at update n, so that it starts fast.

    The warm-up is that of TensorFlow's ExponentialMovingAverage (`num_updates`). Buffers are left out.
    """

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = decay
        self.updates = 0
        self.average: dict[str, Tensor] = {}

    def update(self, model: nn.Module) -> None:
        """Take the model's parameters in, after an optimizer step; the first call starts from them."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name not in self.average:
                    self.average[name] = parameter.detach().clone()
                else:
                    self.average[name].mul_(decay).add_(parameter, alpha=1 - decay)

    @contextlib.contextmanager
    def swapped(self, model: nn.Module) -> Iterator[None]:
        """The model with averaged parameters; its own come back bitwise afterwards."""
        kept = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        _copy(self.average, model)
        try:
            yield
        finally:
            _copy(kept, model)

    def state(self) -> dict[str, Any]:
        """Plain numbers and tensors."""
        return {
            "updates": self.updates,
            "average": {name: value.clone() for name, value in self.average.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.updates = state["updates"]
        self.average = {name: value.clone() for name, value in state["average"].items()}


def _copy(values: dict[str, Tensor], model: nn.Module) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in values:
                parameter.copy_(values[name])
