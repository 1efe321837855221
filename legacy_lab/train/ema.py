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

    The warm-up is that of TensorFlow's ExponentialMovingAverage (`num_updates`); without `warmup` d is `decay` from
    the start. Buffers are left out, unless `buffers`: then floating ones are averaged and the others copied.
    """

    def __init__(self, decay: float = 0.999, warmup: bool = True, buffers: bool = False) -> None:
        self.decay, self.warmup, self.buffers = decay, warmup, buffers
        self.updates = 0
        self.average: dict[str, Tensor] = {}

    def update(self, model: nn.Module) -> None:
        """Take the model's tensors in, after an optimizer step; the first call starts from them."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        self.updates += 1
        with torch.no_grad():
            for name, tensor in self.tensors(model).items():
                if name not in self.average:
                    self.average[name] = tensor.detach().clone()
                    continue
                self.average[name] = self.average[name].to(tensor.device)  # a checkpoint is read onto the CPU
                if tensor.is_floating_point():
                    self.average[name].mul_(decay).add_(tensor, alpha=1 - decay)
                else:
                    self.average[name].copy_(tensor)

    @contextlib.contextmanager
    def swapped(self, model: nn.Module) -> Iterator[None]:
        """The model with averaged tensors; its own come back bitwise afterwards."""
        kept = {name: tensor.detach().clone() for name, tensor in self.tensors(model).items()}
        self._copy(self.average, model)
        try:
            yield
        finally:
            self._copy(kept, model)

    def tensors(self, model: nn.Module) -> dict[str, Tensor]:
        """What is averaged, by name."""
        found: dict[str, Tensor] = dict(model.named_parameters())
        if self.buffers:
            found.update(model.named_buffers())
        return found

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

    def _copy(self, values: dict[str, Tensor], model: nn.Module) -> None:
        with torch.no_grad():
            for name, tensor in self.tensors(model).items():
                if name in values:
                    tensor.copy_(values[name])
