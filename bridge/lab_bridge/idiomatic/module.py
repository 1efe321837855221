"""A Lab training under Lightning's automatic optimization: the idiomatic tier of the drop-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

import legacy_lab
from lab_adapters.optimizer import OptimizerAdapter
from lab_adapters.step_module import StepModule

__all__ = ["Batches", "IdiomaticModule"]

#: Ways of clipping that Lightning has in the same bits, by Lightning's names.
CLIPS = {"ClipTorchNorm": "norm", "ClipValue": "value"}


class Batches:
    """The whole training's micro-batches, as Lightning wants a loader: with a length, so that nothing is prefetched."""

    def __init__(self, training: legacy_lab.Trainer) -> None:
        self.loader = training.loader
        self.size = training.steps * training.optimizer.accumulation.every

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Any]:
        return (self.loader.next_batch() for _ in range(self.size))


class Update(OptimizerAdapter):
    """Lab's update as `step(closure)`; Lightning runs backward, and clips, inside of the closure."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Evaluate the closure, update, zero as Lab does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        legacy: Any = self.legacy
        legacy.apply()
        legacy.windows, legacy.pending = legacy.windows + 1, 0
        legacy.steps += 1
        legacy.zero()
        return loss


class IdiomaticModule(StepModule):
    """Lightning accumulates, runs backward, clips and calls the optimizer; objective, update and average are Lab's.

    For trainings to which no rule objects. What a legacy trainer does after a step happens inside `optimizer_step`, so
    that callbacks see the state after it.
    """

    def __init__(self, training: legacy_lab.Trainer) -> None:
        super().__init__(training)
        self.automatic_optimization = True
        self._metrics: dict[str, Tensor] = {}

    def arguments(self) -> dict[str, Any]:
        """What `lightning.Trainer` is told: accumulation, and clipping where Lightning's has the same bits."""
        optimizer = self.legacy.optimizer
        found: dict[str, Any] = {"accumulate_grad_batches": optimizer.accumulation.every}
        name = type(optimizer.clipping).__name__
        if name in CLIPS:
            found |= {"gradient_clip_val": optimizer.clipping.limit, "gradient_clip_algorithm": CLIPS[name]}
        return found

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Lab's, which updates when Lightning steps it."""
        return Update(self.legacy.optimizer)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # type: ignore[override]
        """The loss of a micro-batch."""
        training: Any = self.legacy
        loss: Tensor
        loss, self._metrics = training.compute(batch)
        if self._monitored:
            self.log_step(self._metrics)
        return loss

    def on_after_backward(self) -> None:
        """Count the micro-batch; an epoch may end between two updates."""
        training: Any = self.legacy
        optimizer = training.optimizer
        optimizer.micro_steps += 1
        optimizer.pending += 1
        if training.loader.epoch_ended and optimizer.pending < optimizer.accumulation.every:
            optimizer.end_epoch()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Let schedules set the hyperparameters of the update that follows."""
        lab: Any = self.legacy.optimizer
        lab._ask("update", "before", lab.steps)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """By Lightning where it has the formula, else by Lab."""
        if gradient_clip_val is None:
            self.legacy.optimizer.clip()
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Nothing: the update has zeroed, to zeros or to None."""

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        """The update, and what follows a step."""
        super().optimizer_step(*arguments, **named)
        training: Any = self.legacy
        if training.loader.epoch_ended:
            training.optimizer.end_epoch()
        if training.ema is not None:
            training.ema.update(training.model)
        training.step += 1
        training.after_step(self._metrics)
