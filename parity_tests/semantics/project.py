"""A whole Lab project in a page: data, model, objective and settings, for tests to change one thing at a time."""

from __future__ import annotations

from typing import Any

import gin
import torch
from torch import Tensor

from legacy_lab.train.anneal import Anneal

#: A perceptron with batch norm and dropout on 30 made-up examples; 7 batches an epoch, 9 steps.
BASE = (
    "Trainer.model = @Model",
    "Trainer.objective = @Classifier()",
    "Trainer.optimizer = @Adam",
    "Trainer.loader = @train/Loader",
    "Trainer.eval_loader = @test/Loader",
    "Trainer.steps = 9",
    "Trainer.log_every = 1",
    "Trainer.seed = 5",
    "Model.input_shape = (6,)",
    "Model.blocks = [@wide/Linear(), @Norm(), @Activation(), @head/Linear()]",
    "wide/Linear.features = 8",
    "Norm.kind = 'batch'",
    "Activation.dropout = 0.2",
    "head/Linear.features = 3",
    "train/Loader.dataset = @Blobs()",
    "train/Loader.batch_size = 4",
    "test/Loader.dataset = @test/Blobs()",
    "test/Loader.batch_size = 5",
    "test/Loader.shuffle = False",
    "test/Blobs.size = 10",
    "test/Blobs.seed = 1",
    "Adam.lr = 1e-2",
    "SGD.lr = 1e-1",
)


@gin.configurable
class Blobs:
    """`size` points `(6,)` around three centres, and which: the same for a seed."""

    def __init__(self, size: int = 30, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(3, (size,), generator=generator)
        centres = torch.randn(3, 6, generator=generator)
        self.points = centres[self.labels] + 0.7 * torch.randn(size, 6, generator=generator)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """`{"image": (B, 6), "label": (B,)}`."""
        return {"image": self.points[indices], "label": self.labels[indices]}


@gin.configurable
class LateAnneal(Anneal):
    """The mistake of moving a weight after the step."""

    def before_step(self, trainer: Any) -> None:
        """Nothing yet."""

    def after_step(self, trainer: Any, metrics: Any) -> None:
        """Too late."""
        super().before_step(trainer)
