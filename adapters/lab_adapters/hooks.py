"""Legacy hooks as a Lightning callback, for modules that know nothing of legacy hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl

from lab_adapters.protocols import LegacyHook


class HookCallback(pl.Callback):
    """Calls legacy hooks from Lightning's, with `owner` where the legacy trainer stood.

    Meant for native modules (level L3). Lightning runs callbacks before the module's own hooks and `before_step`
    before the batch is fetched only with a token loader; `StepModule` and `BlockModule` therefore call hooks
    themselves, in the legacy order.
    """

    def __init__(self, hooks: Sequence[LegacyHook], owner: Any) -> None:
        self.hooks, self.owner = list(hooks), owner

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """`before_train`."""
        for hook in self.hooks:
            hook.before_train(self.owner)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """`before_step`."""
        for hook in self.hooks:
            hook.before_step(self.owner)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """`after_step`, with the metrics that were logged in this step."""
        for hook in self.hooks:
            hook.after_step(self.owner, dict(trainer.callback_metrics))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """`after_eval`."""
        for hook in self.hooks:
            hook.after_eval(self.owner, {name: float(value) for name, value in trainer.callback_metrics.items()})

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """`after_train`."""
        for hook in self.hooks:
            hook.after_train(self.owner)
