"""Counting legacy optimizer steps where Lightning counts its own."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl

from lab_adapters.loader import TokenLoader


def count_step(trainer: pl.Trainer) -> None:
    """Tell Lightning that one optimizer step was done.

    `trainer.global_step`, `max_steps`, ModelCheckpoint and loggers read this counter. Under manual optimization
    Lightning advances it only when *its* optimizer wrapper steps, which a legacy optimizer never lets it do.
    Without this bump `max_steps` is ignored.
    """
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    progress.increment_ready()
    progress.increment_completed()


def move_end(trainer: pl.Trainer, steps: int, batches: int | None = None) -> None:
    """Let the running fit end after `steps` steps (`batches` batches, as many if None), as a legacy loop does that
    asks for its end anew before each step.

    `should_stop` would do for an earlier end only, and would have callbacks save and evaluate once more.
    """
    loop, steps = trainer.fit_loop, max(steps, 0)  # -1 is no end for Lightning
    loop.epoch_loop.max_steps = steps
    batches = steps if batches is None else batches
    if batches <= loop.max_batches:
        return
    loader: Any = trainer.train_dataloader
    loader.lengthen(batches)
    fetcher: Any = loop._data_fetcher
    loop.max_batches = fetcher.length = batches
    fetcher.done = loop.epoch_loop.batch_progress.is_last_batch = False


def require_tokens(trainer: Any) -> None:
    """Raise `ValueError` where tokens run out before the steps do: Lightning would end there, and say nothing."""
    loader, epochs = trainer.train_dataloader, trainer.max_epochs
    if not isinstance(loader, TokenLoader) or not epochs or epochs < 0 or trainer.fast_dev_run:
        return
    if len(loader) * epochs < trainer.max_steps:
        raise ValueError(
            f"max_steps: expected at most {len(loader) * epochs}, the legacy steps that there are tokens for, found "
            f"{trainer.max_steps}; give TokenLoader (and the legacy trainer's own setting) as many steps"
        )


def resume_at(
    checkpoint: dict[str, Any],
    trainer: pl.Trainer,
    step: int,
    batches: int | None = None,
    epoch: int = 0,
    within: int | None = None,
) -> None:
    """Set a checkpoint's progress counters to "after `batches` batches" (as many as steps, if None).

    They lie in `epoch`, by default the only one, of which `within` batches (all, if None) are done. What Lightning
    saved may say more: a run that had reached its last step says "last batch" or "epoch completed", and resuming it
    with more steps would end at once, silently. A legacy checkpoint says nothing at all.
    """
    loops = trainer.fit_loop.state_dict()
    batches = step if batches is None else batches
    within = batches if within is None else within
    for reach, count in (("total", batches), ("current", within)):
        loops["epoch_loop.batch_progress"][reach].update(ready=count, completed=count, started=count, processed=count)
        loops["epoch_loop.manual_optimization.optim_step_progress"][reach].update(ready=step, completed=step)
        loops["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"][reach].update(
            ready=step, completed=step
        )
        loops["epoch_progress"][reach].update(ready=epoch + 1, started=epoch + 1, processed=epoch, completed=epoch)
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] = batches if trainer.accumulate_grad_batches == 1 else step
    checkpoint.update(epoch=epoch, global_step=step)
    checkpoint.setdefault("loops", {})["fit_loop"] = loops
