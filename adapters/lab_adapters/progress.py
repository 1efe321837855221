"""Counting legacy optimizer steps where Lightning counts its own."""

from __future__ import annotations

import lightning.pytorch as pl


def count_step(trainer: pl.Trainer) -> None:
    """Tell Lightning that one optimizer step was done.

    `trainer.global_step`, `max_steps`, ModelCheckpoint and loggers read this counter. Under manual optimization
    Lightning advances it only when *its* optimizer wrapper steps, which a legacy optimizer never lets it do.
    Without this bump `max_steps` is ignored.
    """
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    progress.increment_ready()
    progress.increment_completed()
