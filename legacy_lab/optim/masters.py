"""fp32 masters: parameters of a lower precision are updated through copies that lose nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Masters:
    """A copy in fp32 of each parameter; gradients go one way, values the other."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.pairs = [(p, nn.Parameter(p.detach().float().clone())) for p in parameters]

    def take_gradients(self) -> None:
        """From the model to the masters."""
        for parameter, master in self.pairs:
            master.grad = None if parameter.grad is None else parameter.grad.float()

    def give_values(self) -> None:
        """From the masters to the model, rounded to its precision."""
        with torch.no_grad():
            for parameter, master in self.pairs:
                parameter.copy_(master)

    def state(self) -> list[Tensor]:
        """The masters, in the model's order."""
        return [master.detach().clone() for _, master in self.pairs]

    def load_state(self, state: list[Tensor]) -> None:
        """Go on where `state` was taken."""
        with torch.no_grad():
            for (_, master), value in zip(self.pairs, state, strict=True):
                master.copy_(value)
