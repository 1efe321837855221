"""torch's own gradient scaler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gin
import torch
from torch import Tensor, nn


@gin.configurable
class TorchScaler:
    """`torch.amp.GradScaler`, called as its documentation says: scale, unscale_, step, update."""

    def __init__(
        self,
        scale_by: float = 65536.0,
        growth: float = 2.0,
        backoff: float = 0.5,
        interval: int = 2000,
        device: str = "cpu",
    ) -> None:
        self.scaler = torch.amp.GradScaler(
            device, init_scale=scale_by, growth_factor=growth, backoff_factor=backoff, growth_interval=interval
        )
        self.front: _Front | None = None

    def scale(self, loss: Tensor) -> Tensor:
        """By torch."""
        return self.scaler.scale(loss)

    def unscale(self, parameters: Sequence[nn.Parameter]) -> None:
        """By torch, which remembers what it finds under the optimizer that it is shown."""
        self.front = self.front or _Front(parameters)
        self.scaler.unscale_(self.front)

    def step(self, update: Callable[[], None]) -> bool:
        """Torch decides."""
        assert self.front is not None
        self.front.update = update
        updated = self.scaler.step(self.front) is not None
        self.scaler.update()
        return updated

    def state(self) -> dict[str, Any]:
        """Torch's."""
        return self.scaler.state_dict()

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.scaler.load_state_dict(state)


class _Front(torch.optim.Optimizer):
    """What torch's scaler takes for the optimizer: the parameters, and a step that calls Lab's update."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__(list(parameters), {})
        self.update: Callable[[], None] = lambda: None

    def step(self, closure: Any = None) -> Any:
        """True, since torch's scaler returns None for an update that it skips."""
        self.update()
        return True
