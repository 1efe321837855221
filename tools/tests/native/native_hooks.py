"""Hooks that a project built on Lab's."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import gin
import torch
from torch import nn

from legacy_lab.train.hooks import Hook

if TYPE_CHECKING:
    from legacy_lab.train.hooks import Metrics
    from legacy_lab.train.trainer import Trainer


def linear(model: nn.Module) -> list[nn.Parameter]:
    """Matrices."""
    return [parameter for parameter in model.parameters() if parameter.dim() > 1]


@gin.configurable
class Shaken(Hook):
    """Noise on every matrix after each step, from the global generator."""

    def __init__(self, size: float = 1e-2) -> None:
        self.size = size

    def after_step(self, trainer: Trainer, metrics: Metrics) -> None:
        """Draw, and add."""
        with torch.no_grad():
            for parameter in linear(trainer.model):
                parameter.add_(torch.randn_like(parameter), alpha=self.size)  # after the average


@gin.configurable
class Bounded(Hook):
    """Keeps weights within a bound that grows with the step."""

    def __init__(self, bound: float = 0.3) -> None:
        self.bound = bound

    def now(self, step: int) -> float:
        """The bound at a step."""
        return self.bound * (1 + step / 10)

    def before_step(self, trainer: Trainer) -> None:
        """Clamp."""
        bound = self.now(trainer.step)
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.clamp_(-bound, bound)


@gin.configurable
class Damped(Hook):
    """Shrinks the weights after a step whose loss is greater than any before; begins and ends with a draw."""

    def __init__(self) -> None:
        self.greatest = 0.0

    def before_train(self, trainer: Trainer) -> None:
        """Noise on what is there."""
        self._shake(trainer.model)

    def after_step(self, trainer: Trainer, found: Metrics) -> None:
        """Look at the loss."""
        loss = float(found["loss"])
        if loss <= self.greatest:
            return
        self.greatest = loss
        trainer.log({"greatest": loss})
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.mul_(0.9)

    def after_train(self, trainer: Trainer) -> None:
        """Noise on what has become."""
        self._shake(trainer.model)

    def state(self) -> dict[str, Any]:
        """The greatest so far."""
        return {"greatest": self.greatest}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.greatest = state["greatest"]

    def _shake(self, model: nn.Module) -> None:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))


@gin.configurable
class Sharpened(Hook):
    """Moves the objective's margin by what an evaluation found, and ends the training after so many evaluations."""

    def __init__(self, evaluations: int = 100) -> None:
        self.evaluations = evaluations
        self.found: list[float] = []

    def after_eval(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Look at the loss, in all its digits."""
        self.found.append(metrics["eval/loss"])
        trainer.objective.margin = 1.0 + metrics["eval/loss"] * 1e-3
        if len(self.found) == self.evaluations:
            trainer.steps = trainer.step

    def state(self) -> dict[str, Any]:
        """What was found."""
        return {"found": list(self.found)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.found = list(state["found"])


@gin.configurable
class Sampled(Hook):
    """Every third step: a batch of noise through the averaged model, into a file; the average learns from it."""

    def __init__(self, every: int = 3) -> None:
        self.every = every

    def after_step(self, trainer: Trainer, metrics: Metrics) -> None:
        """Draw, look and write."""
        if trainer.step % self.every:
            return
        noise = torch.randn(2, 6, device=trainer.device)
        with torch.no_grad(), trainer.ema.swapped(trainer.model):
            found = trainer.model(noise)[0].sum()
        for value in trainer.ema.average.values():
            value.add_(found * 1e-3 + trainer.seed * 1e-4)
        trainer.run_dir.mkdir(parents=True, exist_ok=True)
        (trainer.run_dir / f"samples_{trainer.step}.txt").write_text(str(float(found)))


@gin.configurable
class Nudged(Hook):
    """Moves the objective's margin with the step, and the weights by it."""

    def after_step(self, trainer: Trainer, metrics: Metrics) -> None:
        """Both."""
        trainer.objective.margin = 1.0 - 0.01 * trainer.step
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.mul_(trainer.objective.margin)


@gin.configurable
class Balanced(Hook):
    """Shrinks a critic that is ahead of its generator, and counts how often."""

    def __init__(self, by: float = 0.95) -> None:
        self.by, self.count = by, 0

    def after_step(self, trainer: Trainer, metrics: Metrics) -> None:
        """Look at both losses; a critic that has not started has none."""
        if "critic" not in metrics or float(metrics["critic"]) > float(metrics["loss"]):
            return
        self.count += 1
        with torch.no_grad():
            for parameter in trainer.model.critic.parameters():
                parameter.mul_(self.by)

    def state(self) -> dict[str, Any]:
        """The count."""
        return {"count": self.count}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.count = state["count"]


@gin.configurable
class Muted(Hook):
    """Leaves the model in evaluation mode at the beginning and behind every fifth step."""

    def before_train(self, trainer: Trainer) -> None:
        """A part of it."""
        trainer.model.blocks[2].eval()

    def after_step(self, trainer: Trainer, metrics: Metrics) -> None:
        """All of it, until the next evaluation is over."""
        if trainer.step % 5 == 0:
            trainer.model.eval()


@gin.configurable
class Dreaming(Hook):
    """Asks the model behind each evaluation, from the global generator, and leaves a part of it in evaluation mode."""

    def __init__(self) -> None:
        self.kept: nn.Module | None = None

    @torch.no_grad()
    def after_eval(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """What it says of noise moves its weights, and so does a copy of what it was."""
        drawn, _ = trainer.model(torch.randn(4, 6))  # in training mode: dropout draws, norms learn
        for parameter in trainer.model.parameters():
            parameter.add_(1e-3 * drawn.mean() + 1e-3 * metrics["eval/loss"])
        self.kept = copy.deepcopy(trainer.model)
        trainer.model.blocks[2].eval()

    def after_step(self, trainer: Trainer, metrics: Metrics) -> None:
        """The copy goes on outside of the evaluation."""
        if self.kept is not None:
            with torch.no_grad():
                for mine, theirs in zip(self.kept.parameters(), trainer.model.parameters(), strict=True):
                    mine.lerp_(theirs, 0.5)
                    theirs.lerp_(mine, 0.1)
