"""A whole Lab project in a page: data, model, objective and settings, for tests to change one thing at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import gin
import numpy as np
import torch
from torch import Tensor, nn

from legacy_lab.data.epochs import Epochs
from legacy_lab.objectives.classifier import Classifier
from legacy_lab.optim.accumulation import Accumulation
from legacy_lab.optim.optimizer import Optimizer
from legacy_lab.train.anneal import Anneal
from legacy_lab.train.ema import EMA
from legacy_lab.train.hooks import Hook
from legacy_lab.train.steppers import Plain

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


class Pair(NamedTuple):
    """A batch as a named tuple."""

    image: Tensor
    label: Tensor


@attrs.frozen
class Labelled:
    """A batch as an object that knows how to move."""

    image: Tensor
    label: Tensor

    def to(self, device: str) -> Labelled:
        """On the device."""
        return Labelled(self.image.to(device), self.label.to(device))


FORMS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "dict": lambda image, label: {"image": image, "label": label},
    "list": lambda image, label: [image, label],
    "named tuple": Pair,
    "attrs": Labelled,
}


@gin.configurable
class Formed(Blobs):
    """`Blobs` whose batches have another form; `noise` is drawn from the global generators where they are made."""

    def __init__(self, form: str = "dict", noise: float = 0.0) -> None:
        super().__init__()
        self.form, self.noise = form, noise

    def batch(self, indices: Tensor) -> Any:
        """In the form."""
        points = self.points[indices]
        if self.noise:
            points = points + self.noise * (torch.randn(points.shape) + float(np.random.rand()) + random.random())
        return FORMS[self.form](points, self.labels[indices])


@gin.configurable
class Forms(Classifier):
    """`Classifier` for batches of any form, also a pair of them: the labels of the second count."""

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """As `Classifier`."""
        if isinstance(batch, dict):
            return super().__call__(model, batch)
        if isinstance(batch, tuple) and isinstance(batch[0], dict):
            return super().__call__(model, {"image": batch[0]["image"], "label": batch[1]["label"]})
        image, label = batch if isinstance(batch, list | tuple) else (batch.image, batch.label)
        return super().__call__(model, {"image": image, "label": label})


@gin.configurable
class Exhausted:
    """Shuffles anew behind its last batch, as loaders do that prepare the next epoch when they are exhausted.

    Draws from the global generator; `sized` is whether it tells how many batches it has.
    """

    def __init__(self, dataset: Blobs, batch_size: int = 4) -> None:
        self.dataset, self.batch_size = dataset, batch_size
        self.order = torch.arange(len(dataset))

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self.dataset), self.batch_size):
            yield self.dataset.batch(self.order[start : start + self.batch_size])
        self.order = torch.randperm(len(self.dataset))

    def state(self) -> dict[str, Any]:
        """The order, which outlives an epoch."""
        return {"order": self.order.clone()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.order = state["order"].clone()


@gin.configurable
class SizedExhausted(Exhausted):
    """The same with a length."""

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)


@gin.configurable
class Phrases:
    """Made-up sequences of 3 to 12 tokens; a batch is padded with 0 to its longest."""

    def __init__(self, size: int = 40) -> None:
        generator = torch.Generator().manual_seed(3)
        self.lengths = torch.randint(3, 13, (size,), generator=generator)
        self.tokens = torch.randint(1, 20, (size, 13), generator=generator)

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """`{"tokens": (B, T), "next": (B, T)}`."""
        length = int(self.lengths[indices].max())
        padded = self.tokens[indices] * (torch.arange(13) <= self.lengths[indices][:, None])
        return {"tokens": padded[:, :length], "next": padded[:, 1 : length + 1]}


class Early:
    """The mistake of asking for a batch before it is wanted, as Lightning does of a loader without a length."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.waiting: Any = None

    def next_batch(self) -> Any:
        """The one that was fetched before."""
        if self.waiting is None:
            self.waiting = self.loader.next_batch()
        batch, self.waiting = self.waiting, self.loader.next_batch()
        return batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


class Abandoned(Epochs):
    """The mistake of leaving an iterator before its end, as Lightning does with loaders that have a length."""

    def finish(self) -> None:
        """Without its last words."""
        self._iterator, self.position, self.epoch_ended = None, 0, False


@gin.configurable
class Twice(Classifier):
    """The model is run twice in one loss, so that each weight is used twice."""

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of both losses."""
        first, metrics = super().__call__(model, batch)
        second, _ = super().__call__(model, {"image": batch["image"].flip(1) * 1.5, "label": batch["label"]})
        return first + second, metrics


@gin.configurable
class Spike(Hook):
    """Before every `every`-th step a weight is replaced by one so large that fp16 gradients overflow."""

    def __init__(self, every: int = 3) -> None:
        self.every = every

    def before_step(self, trainer: Any) -> None:
        """Raise it, or put it back."""
        bias = trainer.model.blocks[-1].map.bias
        with torch.no_grad():
            if trainer.step % self.every == 2:
                bias[0] = torch.inf
            elif torch.isinf(bias[0]):
                bias[0] = 0.25


@gin.configurable
class Signs(Optimizer):
    """An optimizer of the project's own: each parameter goes against its gradient's sign, averaged over time."""

    def __init__(self, model: nn.Module, lr: float = 0.01, beta: float = 0.9) -> None:
        super().__init__(model, lr, beta=beta)

    def update(self) -> None:
        """One step of `lr`."""
        for group in self.groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                if parameter.grad is not None:
                    (m,) = self.slot(name, parameter, "m")
                    m.mul_(group["beta"]).add_(parameter.grad, alpha=1 - group["beta"])
                    parameter.sub_(m.sign(), alpha=group["lr"])


@gin.configurable
class Impatient(Signs):
    """Updates twice with the same gradients."""

    def finish(self) -> bool:
        """Once more than Lab's."""
        self.apply()
        return super().finish()


@gin.configurable
class Twofold(Plain):
    """Two steps for one."""

    def __call__(self, trainer: Any) -> Any:
        """The metrics of the second."""
        super().__call__(trainer)
        return super().__call__(trainer)


@gin.configurable
class Halved(Accumulation):
    """Half of each loss."""

    def share(self, loss: Tensor) -> Tensor:
        """Of what Lab takes."""
        return super().share(loss) / 2


@gin.configurable
class Hasty(EMA):
    """Follows twice at every step."""

    def update(self, model: nn.Module) -> None:
        """As Lab's, twice."""
        super().update(model)
        super().update(model)


@gin.configurable
class Draws(Hook):
    """Draws before each step."""

    def before_step(self, trainer: Any) -> None:
        """One number."""
        torch.rand(1)


@gin.configurable
class Watches(Hook):
    """Evaluates, and logs by itself, at every `every`-th step; reads what was logged last."""

    def __init__(self, every: int = 3) -> None:
        self.every = every

    def after_step(self, trainer: Any, metrics: Any) -> None:
        """The mean of the evaluation and what was logged before it."""
        if trainer.step % self.every == 0:
            before = trainer.last_metrics.get("loss", 0.0)
            trainer.log({"watched": trainer.evaluate()["eval/loss"] + before})


@gin.configurable
class MovesEnd(Hook):
    """Sets the trainer's `steps` after step `at`, by so many `more` than are done, and once more after the last."""

    def __init__(self, at: int = 8, more: int = 0, last: int = 0) -> None:
        self.at, self.more, self.last = at, more, last

    def after_step(self, trainer: Any, metrics: Any) -> None:
        """Move it."""
        if trainer.step == self.at:
            trainer.steps = trainer.step + self.more
        elif trainer.step == trainer.steps and self.last:
            trainer.steps, self.last = trainer.steps + self.last, 0


@gin.configurable
class SetsLog(Hook):
    """Logs each step from now on."""

    def before_train(self, trainer: Any) -> None:
        """Set it."""
        trainer.log_every = 1


@gin.configurable
class LateDraws(Hook):
    """The mistake of drawing when a step's batch is there already."""

    def before_train(self, trainer: Any) -> None:
        """Stand between the loader and the step."""
        loader = trainer.loader

        class Late:
            """Draws behind each batch."""

            def next_batch(self) -> Any:
                """A batch."""
                batch = loader.next_batch()
                torch.rand(1)
                return batch

            def __getattr__(self, name: str) -> Any:
                return getattr(loader, name)

        trainer.loader = Late()


@gin.configurable
class DrawsAfter(Hook):
    """Draws after each loss, or (not `within`) after each step only."""

    def __init__(self, within: bool = True) -> None:
        self.within = within

    def after_batch(self, trainer: Any) -> None:
        """One number."""
        if self.within or not trainer.mid_step:
            torch.rand(1)


@gin.configurable
class Squares:
    """Mean squared distance of the logits from the label's unit vector: under autocast computed in its dtype."""

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss `()`."""
        logits, _ = model(batch["image"])
        loss = (logits - nn.functional.one_hot(batch["label"], 3)).square().mean()
        return loss, {"loss": loss.detach().float()}


@gin.configurable
class Sometimes(Classifier):
    """A loss that is not a number at every third batch."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """NaN at calls 2, 5, 8, …"""
        loss, metrics = super().__call__(model, batch)
        self.calls += 1
        return loss * (float("nan") if self.calls % 3 == 0 else 1.0), metrics

    def state(self) -> dict[str, Any]:
        """The count."""
        return {"calls": self.calls}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.calls = state["calls"]


@gin.configurable
class Baseline(Classifier):
    """The loss weighed by how far it lies above its own running mean."""

    def __init__(self) -> None:
        super().__init__()
        self.baseline = 0.0

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Carries `baseline` to the next call."""
        loss, metrics = super().__call__(model, batch)
        weight = 1.0 + float(loss.detach()) - self.baseline
        self.baseline = 0.9 * self.baseline + 0.1 * float(loss.detach())
        return loss * weight, metrics

    def state(self) -> dict[str, Any]:
        """The mean."""
        return {"baseline": self.baseline}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.baseline = state["baseline"]


@gin.configurable
def unused(model: Callable[[], nn.Module]) -> nn.Module:
    """A model with a parameter that no loss reaches."""
    built = model()
    built.unused = nn.Parameter(torch.ones(2, 2))
    return built


@gin.configurable
class CutAt(Hook):
    """Writes a checkpoint after the `batch`-th batch, wherever in a step that is, into `folder`.

    `cut.lab`, in Lab's format, or (`lightning`, under Lightning only) `cut.ckpt` in Lightning's.
    """

    def __init__(self, batch: int, folder: str, lightning: bool = False) -> None:
        self.batch, self.folder, self.lightning, self.seen = batch, Path(folder), lightning, 0

    def after_batch(self, trainer: Any) -> None:
        """Count, and write."""
        self.seen += 1
        if self.seen != self.batch:
            return
        if not self.lightning:
            trainer.save(self.folder / "cut.lab")
        else:  # at level L2 the module stands where the trainer stood
            (trainer.trainer if isinstance(trainer, nn.Module) else trainer.lightning).save_checkpoint(
                self.folder / "cut.ckpt"
            )

    def state(self) -> dict[str, Any]:
        """The count."""
        return {"seen": self.seen}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.seen = state["seen"]
