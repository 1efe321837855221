"""A project's own parts, as its files have them: a dataset, a loader, an objective, a block."""

from __future__ import annotations

import copy
from typing import Any

import gin
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from legacy_lab.blocks import Block, block


@block
class Scale(Block):
    """Each feature times a number; one more number is never used."""

    def build(self, shape: Any, scope: Any) -> None:
        """Allocate."""
        self.by = nn.Parameter(torch.ones(shape[-1]))
        self.unused = nn.Parameter(torch.ones(3, 3))

    def run(self, x: Tensor, taps: Any) -> Tensor:
        """Multiply."""
        return x * self.by


@block
class Pinned(Block):
    """Each feature times a number that is not trained, and times one that is."""

    def build(self, shape: Any, scope: Any) -> None:
        """Allocate."""
        self.by = nn.Parameter(torch.full((shape[-1],), 0.7), requires_grad=False)
        self.trained = nn.Parameter(torch.ones(shape[-1]))

    def run(self, x: Tensor, taps: Any) -> Tensor:
        """Multiply."""
        return x * self.by * self.trained


@gin.configurable
class Specks:
    """`size` points `(6,)` around three centres, and which."""

    def __init__(self, size: int = 30, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(3, (size,), generator=generator)
        centres = torch.randn(3, 6, generator=generator)
        self.points = centres[self.labels] + 0.7 * torch.randn(size, 6, generator=generator)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """`{"image": (B, 6), "label": (B,)}`; noisy, from the global generator."""
        points = self.points[indices]
        return {"image": points + 0.1 * torch.randn(points.shape), "label": self.labels[indices]}


@gin.configurable
class JitteredSpecks(Specks):
    """Moved once, from the global generator, when they are made."""

    def __init__(self, size: int = 30, seed: int = 0) -> None:
        super().__init__(size, seed)
        self.points += 0.1 * torch.randn(self.points.shape)


@gin.configurable
class LongSpecks(Specks):
    """Of lengths that only buckets look at, and as they are."""

    def __init__(self, size: int = 30, seed: int = 0) -> None:
        super().__init__(size, seed)
        self.lengths = torch.arange(size) % 7

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Without noise, in any thread."""
        return {"image": self.points[indices], "label": self.labels[indices]}


@gin.configurable
class DrawnBatches:
    """A loader of the project's own, without end and without epochs."""

    epoch_ended = False

    def __init__(self, dataset: Specks, batch_size: int = 4) -> None:
        self.dataset, self.batch_size = dataset, batch_size

    def next_batch(self) -> dict[str, Tensor]:
        """Examples drawn from the global generator."""
        return self.dataset.batch(torch.randint(len(self.dataset), (self.batch_size,)))

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing."""


@gin.configurable
class Rounds:
    """A loader of the project's own, of five batches an epoch."""

    def __init__(self, dataset: Specks, batch_size: int = 4) -> None:
        self.dataset, self.batch_size, self.position = dataset, batch_size, 0

    @property
    def epoch_ended(self) -> bool:
        """Whether the fifth was dealt out last."""
        return self.position == 5

    def next_batch(self) -> dict[str, Tensor]:
        """Examples drawn from the global generator."""
        self.position = self.position % 5 + 1
        return self.dataset.batch(torch.randint(len(self.dataset), (self.batch_size,)))

    def state(self) -> dict[str, Any]:
        """Where the epoch stands."""
        return {"position": self.position}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.position = state["position"]


@gin.configurable
class Faltering:
    """An objective whose loss is not finite `times` in a row in the training, behind three at first, then four."""

    def __init__(self, times: int = 1) -> None:
        self.times, self.calls = times, 0

    def __call__(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()` and metrics."""
        loss = F.cross_entropy(model(batch["image"])[0], batch["label"])
        self.calls += model.training
        if model.training and self.calls % (4 + self.times) >= 4:
            loss = loss * float("inf")
        return loss, {"loss": loss.detach()}

    def state(self) -> dict[str, Any]:
        """The count."""
        return {"calls": self.calls}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.calls = state["calls"]


@gin.configurable
class Margin:
    """An objective of the project's own."""

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def __call__(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()` and metrics."""
        loss = F.multi_margin_loss(model(batch["image"])[0], batch["label"], margin=self.margin)
        return loss, {"loss": loss.detach()}


@gin.configurable
class Drift:
    """An objective that carries a running mean of its loss from step to step, and weighs the loss by it."""

    def __init__(self) -> None:
        self.mean = 1.0

    def __call__(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()` and metrics."""
        loss = F.cross_entropy(model(batch["image"])[0], batch["label"])
        weighed = loss * self.mean
        if model.training:
            self.mean = 0.9 * self.mean + 0.1 * float(loss.detach())
        return weighed, {"loss": loss.detach()}

    def state(self) -> dict[str, Any]:
        """The mean."""
        return {"mean": self.mean}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.mean = state["mean"]


@gin.configurable
class Recalled(nn.Module):
    """An objective that is a module: what the model said of past batches lies in a buffer, and is weighed in.

    So is what a copy of the first model says, which it makes when it is first called.
    """

    def __init__(self, size: int = 6) -> None:
        super().__init__()
        self.register_buffer("past", torch.zeros(size, 3))
        self.first: nn.Module | None = None
        self.weights: dict[str, Tensor] | None = None

    def forward(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()` and metrics."""
        said = model(batch["image"])[0]
        if self.first is None:
            self.first = copy.deepcopy(model).eval().requires_grad_(False)
            self.first.load_state_dict(self.weights or self.first.state_dict())
        loss = F.cross_entropy(said, batch["label"]) + 0.1 * (said.mean(0) - self.past.mean(0)).square().sum()
        loss = loss + 0.1 * F.mse_loss(said, self.first(batch["image"])[0])
        if model.training:
            self.past = torch.cat([said.detach(), self.past])[: len(self.past)]
        return loss, {"loss": loss.detach()}

    def state(self) -> dict[str, Any]:
        """The past, and what the first model was."""
        return {"past": self.past.clone(), "first": None if self.first is None else self.first.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.past.copy_(state["past"])
        self.first, self.weights = None, state["first"]


@gin.configurable
class Halving:
    """A schedule of the project's own."""

    def __init__(self, lr: float, every: int = 3) -> None:
        self.lr, self.every = lr, every

    def __call__(self, step: int) -> dict[str, float]:
        """Half the rate after every so many updates."""
        return {"lr": self.lr * 0.5 ** (step // self.every)}


@gin.configurable
class Blinking:
    """An objective that tells of every other loss of the training that it is not a number; it is one."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()` and metrics."""
        loss = F.cross_entropy(model(batch["image"])[0], batch["label"])
        self.calls += model.training
        told = loss.detach() * (float("nan") if model.training and self.calls % 2 else 1.0)
        return loss, {"loss": told}

    def state(self) -> dict[str, Any]:
        """The count."""
        return {"calls": self.calls}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.calls = state["calls"]


@gin.configurable
class Counted:
    """How real a critic takes real examples to be, times how often that was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()` and metrics."""
        self.asked += 1
        loss = F.softplus(-model(batch["image"])).mean() * self.asked
        return loss, {"loss": loss.detach()}

    def state(self) -> dict[str, Any]:
        """The count."""
        return {"asked": self.asked}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.asked = state["asked"]


@block
class Quiet(Block):
    """Batch norm and dropout that begin in evaluation mode."""

    def build(self, shape: Any, scope: Any) -> None:
        """Allocate."""
        self.layers = nn.Sequential(nn.BatchNorm1d(shape[-1]), nn.Dropout(0.3)).eval()

    def run(self, x: Tensor, taps: Any) -> Tensor:
        """Both."""
        layers: Tensor = self.layers(x)
        return layers
