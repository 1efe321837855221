"""A generator and its critic, as one model."""

from __future__ import annotations

from collections.abc import Callable

import gin
import torch
from torch import Tensor, nn

from legacy_lab.blocks import Model


@gin.configurable
class Adversaries(nn.Module):
    """`generator` maps normal noise of its input shape to examples, `critic` examples to one logit each."""

    def __init__(self, generator: Callable[[], Model], critic: Callable[[], Model]) -> None:
        super().__init__()
        self.generator, self.critic = generator(), critic()

    def generate(self, count: int) -> Tensor:
        """`count` examples; draws from the global generator."""
        noise = torch.randn(count, *self.generator.input_shape, device=next(self.generator.parameters()).device)
        examples: Tensor = self.generator(noise)[0]
        return examples

    def judge(self, examples: Tensor) -> Tensor:
        """Logits `(B,)`."""
        logits: Tensor = self.critic(examples)[0]
        return logits.squeeze(-1)

    def forward(self, examples: Tensor) -> Tensor:
        """Judge."""
        return self.judge(examples)
