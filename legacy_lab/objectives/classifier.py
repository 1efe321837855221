"""The classifier's objective."""

from __future__ import annotations

import gin
from torch import Tensor, nn
from torch.nn import functional as F


@gin.configurable
class Classifier:
    """Cross entropy of logits `(B, classes)` against `batch["label"]` `(B,)`, and accuracy."""

    def __init__(self, smoothing: float = 0.0) -> None:
        self.smoothing = smoothing

    def __call__(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()` in nats, and metrics."""
        logits, _ = model(batch["image"])
        loss = F.cross_entropy(logits, batch["label"], label_smoothing=self.smoothing)
        accuracy = (logits.detach().argmax(-1) == batch["label"]).float().mean()
        return loss, {"loss": loss.detach(), "accuracy": accuracy}
