"""What a loss scaler does for an optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Scaler(Protocol):
    """Called by the optimizer in this order: `scale` for each loss, then once `unscale` and `step`."""

    def scale(self, loss: Tensor) -> Tensor:
        """What backward is called on."""
        ...

    def unscale(self, parameters: Sequence[nn.Parameter]) -> None:
        """Divide the scale out of the gradients."""
        ...

    def step(self, update: Callable[[], None]) -> bool:
        """Call `update` unless the gradients overflowed; whether it was called."""
        ...

    def state(self) -> dict[str, Any]:
        """Plain numbers."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        ...


def all_finite(parameters: Sequence[nn.Parameter]) -> bool:
    """Whether no gradient holds an infinity or NaN."""
    return all(bool(torch.isfinite(p.grad).all()) for p in parameters if p.grad is not None)
