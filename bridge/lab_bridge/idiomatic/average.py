"""Lab's average as Lightning's callback."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

import legacy_lab
from legacy_lab.train.ema import EMA

__all__ = ["LabAveraging"]


class LabAveraging(WeightAveraging):
    """`WeightAveraging` by Lab's formula and warm-up.

    Lab's `EMA` looks into the averaged model, so that evaluation and hooks find the average there, and a checkpoint
    holds it once, in its legacy part. The training keeps its own weights at the end, as Lab's does.
    """

    def __init__(self, training: legacy_lab.Trainer) -> None:
        ema = training.ema
        assert ema is not None
        super().__init__(device=training.device, use_buffers=ema.buffers, avg_fn=formula(ema))
        self.training, self.ema = training, ema

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over what Lab's average holds, which may come from a checkpoint."""
        model: Any = self._average_model
        if self.ema.updates:
            with torch.no_grad():
                for name, tensor in self.ema.tensors(model.module.model).items():
                    tensor.copy_(self.ema.average[name])
            model.n_averaged.fill_(self.ema.updates)
            self._show()
        self._latest_update_step = self.training.step

    def on_train_batch_end(self, *arguments: Any, **named: Any) -> None:
        """Follow, after a step."""
        super().on_train_batch_end(*arguments, **named)
        model: Any = self._average_model
        if int(model.n_averaged) > self.ema.updates:
            if not self.ema.updates:
                self._show()
            self.ema.updates = int(model.n_averaged)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing: Lightning would leave the average in place of the weights."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing: Lab's counters say it."""
        return {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Nothing: Lightning would save the average in place of the weights."""

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Nothing: Lab's average was loaded with the rest of its training."""

    def _show(self) -> None:
        model: Any = self._average_model
        self.ema.average = {name: value.detach() for name, value in self.ema.tensors(model.module.model).items()}


def formula(ema: EMA) -> Any:
    """Lab's average of one tensor, in place, as torch's `AveragedModel` asks for it from the second update on."""

    def averaged(average: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        count = int(updates)
        decay = min(ema.decay, (1 + count) / (10 + count)) if ema.warmup else ema.decay
        if not average.is_floating_point():
            return current
        return average.mul_(decay).add_(current, alpha=1 - decay)

    return averaged
