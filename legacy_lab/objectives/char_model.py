"""The character model's objective."""

from __future__ import annotations

import math

import gin
from torch import Tensor, nn
from torch.nn import functional as F


@gin.configurable
class CharModel:
    """Cross entropy of the next character: logits `(B, T, V)` against `batch["next"]` `(B, T)`."""

    def __call__(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()` in nats a character, and bits a character."""
        logits, _ = model(batch["tokens"])
        loss = F.cross_entropy(logits.flatten(0, 1), batch["next"].flatten())
        return loss, {"loss": loss.detach(), "bits": loss.detach() / math.log(2)}
