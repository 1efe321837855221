"""How real a critic takes real examples to be; what an adversarial training is evaluated by."""

from __future__ import annotations

from typing import Any

import gin
from torch import Tensor, nn
from torch.nn import functional as F


@gin.configurable
class Realness:
    """The critic's loss on `batch[key]` alone."""

    def __init__(self, key: str = "image") -> None:
        self.key = key

    def __call__(self, model: nn.Module, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()` in nats."""
        loss = F.softplus(-model(batch[self.key])).mean()
        return loss, {"loss": loss.detach()}
