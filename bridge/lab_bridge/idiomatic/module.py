"""A Lab training under Lightning's automatic optimization: the idiomatic tier of the drop-in."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

import legacy_lab
from lab_adapters.progress import resume_at
from lab_adapters.step_module import StepModule
from lab_bridge.idiomatic.average import LabAveraging
from lab_bridge.idiomatic.batches import Batches
from lab_bridge.idiomatic.between_steps import BetweenSteps
from lab_bridge.idiomatic.precision import AutocastPrecision, precision_of
from lab_bridge.idiomatic.rule import Objection, kept
from lab_bridge.idiomatic.schedule import scheduler_configs
from lab_bridge.idiomatic.semantics import CLIPS, Semantics
from lab_bridge.idiomatic.update import Update

__all__ = ["IdiomaticModule"]


class IdiomaticModule(StepModule):
    """Lightning accumulates, runs backward, clips, casts, scales, schedules, averages and calls the optimizer.

    For trainings to which no rule objects; what of these `kept` names stays Lab's, called from Lightning's hooks where
    Lab would have called it. Objective, update, hooks, evaluation and log are Lab's. Lightning's epochs are the
    loader's where no window reaches over an end, else there is one long epoch.
    """

    def __init__(self, training: legacy_lab.Trainer, semantics: Semantics) -> None:
        super().__init__(training)
        self.automatic_optimization = True
        self.semantics = semantics
        self.kept: tuple[Objection, ...] = kept(semantics)
        self.metrics: dict[str, Tensor] = {}
        self.parts = frozenset(str(found.keeps) for found in self.kept)
        self._precision = precision_of(training, self.parts)
        self._update: Any = None
        self._schedules: list[Any] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.nn.Module:
        """A copy of the weights, for their average; the training behind them is not copied."""
        clone = torch.nn.Module()
        clone.model = copy.deepcopy(self.model, memo)
        return clone

    @contextlib.contextmanager
    def schedules_lent(self) -> Iterator[None]:
        """While Lightning steps the schedules, Lab's optimizer has none to ask."""
        lab: Any = self.legacy.optimizer
        if "schedules" in self.parts:
            yield
            return
        self._schedules, lab.schedules = lab.schedules, []
        try:
            yield
        finally:
            self._schedules, lab.schedules = [], self._schedules

    def _frequency(self, times: int) -> int:
        """How many batches `times` updates take; 1, so that a scheduler looks itself, where that may vary."""
        every, size = self.semantics.every, self.semantics.batches_per_epoch
        if times == 1 or self.semantics.scaler is not None:
            return 1
        if self.semantics.passes and size is not None and size % (every * times):
            return 1
        return every * times

    @property
    def batches(self) -> Batches:
        """What Lightning trains on."""
        training: Any = self.legacy
        size = self.semantics.batches_per_epoch if self.semantics.passes else None
        return Batches(training, size or training.steps * self.semantics.every)

    @property
    def callbacks(self) -> list[Callback]:
        """What has to stand before a user's callbacks."""
        training: Any = self.legacy
        averages = training.ema is not None and "average" not in self.parts
        return [*([LabAveraging(training)] if averages else []), BetweenSteps()]

    @property
    def arguments(self) -> dict[str, Any]:
        """What `lightning.Trainer` is told of the training's semantics."""
        found: dict[str, Any] = {
            "accumulate_grad_batches": self.semantics.every,
            "max_epochs": -1 if self.semantics.passes else 1,
        }
        if self.semantics.clip is not None and "clipping" not in self.parts:
            limit = self.legacy.optimizer.clipping.limit
            found |= {"gradient_clip_val": limit, "gradient_clip_algorithm": CLIPS[self.semantics.clip]}
        return found

    @property
    def plugins(self) -> list[Any]:
        """Precision."""
        return [] if self._precision is None else [self._precision]

    def configure_optimizers(self) -> Any:
        """Lab's optimizer, which updates when Lightning steps it, and Lab's schedules."""
        lab: Any = self.legacy.optimizer
        self._update = Update(lab)
        if not self._schedules:
            return self._update
        return [self._update], scheduler_configs(self._update, self._schedules, self._frequency)

    def on_train_start(self) -> None:
        """As the legacy loop does."""
        super().on_train_start()
        trainer: Any = self.trainer
        self._monitored = bool(trainer.loggers) or len(trainer.callbacks) > len(self.callbacks)

    def follow_end(self, batches: int = 1) -> None:
        """A hook may have moved it; passes over the loader need no other length."""
        super().follow_end(0 if self.semantics.passes else self.semantics.every)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Before a step's first loss, hooks that set its weights."""
        training: Any = self.legacy
        if not training.mid_step:
            for hook in training.hooks:
                hook.before_step(training)
        training.mid_step = True

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # type: ignore[override]
        """The loss of a micro-batch."""
        training: Any = self.legacy
        loss: Tensor
        if isinstance(self._precision, AutocastPrecision):
            loss, self.metrics = training.objective(training.model, batch)
        else:
            loss, self.metrics = training.compute(batch)
        if self._monitored:
            self.log_step(self.metrics)
        return loss

    def on_before_backward(self, loss: Tensor) -> None:
        """Ask Lab's schedules by losses."""
        lab: Any = self.legacy.optimizer
        lab._ask("loss", "before", lab.micro_steps)

    def on_after_backward(self) -> None:
        """Count the loss; ranks average, and masters get the gradients, where Lab would have it."""
        training: Any = self.legacy
        lab = training.optimizer
        lab.micro_steps += 1
        lab.pending += 1
        lab._ask("loss", "after", lab.micro_steps)
        if lab.gradients.reduce_at == "loss":
            lab.reduce()
        if self.trainer.fit_loop._should_accumulate():
            if training.loader.epoch_ended:
                lab.end_epoch()
            return
        if lab.pending < lab.accumulation.every:
            # Lab's epoch ends before the update with what is left of it.
            lab.epochs += 1
            lab._ask("epoch", "after", lab.epochs)
        if lab.masters is not None:
            lab.masters.take_gradients()
        if lab.gradients.reduce_at == "update":
            lab.reduce()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Let the hyperparameters of the update hold."""
        lab: Any = self.legacy.optimizer
        self._update.arrive()
        for per, count in (("epoch", lab.epochs), ("window", lab.windows), ("update", lab.steps)):
            lab._ask(per, "before", count)

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
        """Nothing: what follows the update has zeroed, to zeros or to None."""

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        """The update, unless a scaler skips it, and what Lab's optimizer does after it."""
        self._update.updated = False
        super().optimizer_step(*arguments, **named)
        training: Any = self.legacy
        lab = training.optimizer
        ends = training.loader.epoch_ended and lab.pending == lab.accumulation.every
        lab.windows, lab.pending = lab.windows + 1, 0
        if self._update.updated:
            lab.steps += 1
            lab._ask("update", "after", lab.steps)
        lab._ask("window", "after", lab.windows)
        lab.zero()
        if ends:
            lab.end_epoch()

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Lightning steps schedulers after skipped updates too; Lab's by updates are not."""
        if self._update.updated or scheduler.timed.per != "update" or scheduler.timed.when == "before":
            scheduler.step()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load the legacy state; Lightning's progress is set from Lab's counters."""
        super().on_load_checkpoint(checkpoint)
        training: Any = self.legacy
        batches = training.optimizer.micro_steps
        epoch, within = divmod(batches, self.semantics.batches_per_epoch) if self.semantics.passes else (0, batches)
        resume_at(checkpoint, self.trainer, training.step, batches, epoch, within)
        checkpoint["lr_schedulers"] = []  # their state is a function of Lab's counters
