"""What generated projects are made of beside Lab's own parts and those of the semantics' project."""

from __future__ import annotations

from typing import Any

import gin
import torch
from torch import Tensor

from legacy_lab.train.hooks import Hook
from semantics.project import Blobs


@gin.configurable
class Images:
    """`size` images `(1, 4, 4)` in [0, 1], bright in one of three places, and in which: the same for a seed."""

    def __init__(self, size: int = 30, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(3, (size,), generator=generator)
        self.images = 0.5 * torch.rand(size, 1, 4, 4, generator=generator)
        self.images[torch.arange(size), 0, self.labels] += 0.5

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """`{"image": (B, 1, 4, 4), "label": (B,)}`."""
        return {"image": self.images[indices], "label": self.labels[indices]}


@gin.configurable
class Drawing(Blobs):
    """`Blobs` that draw from the global generator when they are made, and at each batch."""

    def __init__(self, size: int = 10) -> None:
        super().__init__(size, seed=1)
        self.points = self.points + 0.1 * torch.randn(self.points.shape)

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """With some noise."""
        batch = super().batch(indices)
        return {**batch, "image": batch["image"] + 0.1 * torch.randn(batch["image"].shape)}


@gin.configurable
class Jitter(Hook):
    """A project's own code between steps: noise on every weight after each step, from the global generator."""

    def __init__(self, size: float = 1e-3) -> None:
        self.size = size

    def after_step(self, trainer: Any, metrics: Any) -> None:
        """Draw, and add."""
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=self.size)
