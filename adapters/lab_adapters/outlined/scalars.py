"""What a program writes to its own tracker while it trains reaches Lightning's loggers as well."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import lightning.pytorch as pl

__all__ = ["scalars_to_loggers"]

#: Modules whose `SummaryWriter.add_scalar(tag, value, step)` is looked at, if the program has imported them.
WRITERS = ("torch.utils.tensorboard.writer", "tensorboardX.writer")


@contextlib.contextmanager
def scalars_to_loggers(trainer: pl.Trainer) -> Iterator[None]:
    """In this block, hand the trainer's loggers, if it has any, scalars of tensorboard writers and wandb's `log`.

    The program's own files stay what they were. Where it gives no step, Lightning's global step stands in.
    """
    if not trainer.loggers:
        yield
        return
    busy = False

    def log(metrics: Mapping[str, Any], step: Any) -> None:
        nonlocal busy
        if busy:
            # Lightning's own logger writes through the same class.
            return
        busy = True
        try:
            for logger in trainer.loggers:
                logger.log_metrics(dict(metrics), step=trainer.global_step if step is None else int(step))
        finally:
            busy = False

    with contextlib.ExitStack() as undo:
        for name in WRITERS:
            writer = getattr(sys.modules.get(name), "SummaryWriter", None)
            if writer is not None:
                undo.enter_context(_replaced(writer, "add_scalar", lambda kept: _add_scalar(kept, log)))
        wandb = sys.modules.get("wandb")
        run = getattr(wandb, "run", None)
        inside: list[None] = []
        if callable(getattr(wandb, "log", None)):
            undo.enter_context(_replaced(wandb, "log", lambda kept: _wandb_log(kept, log, inside)))
        if callable(getattr(run, "log", None)):
            undo.enter_context(_replaced(type(run), "log", lambda kept: _run_log(kept, log, inside)))
        yield


@contextlib.contextmanager
def _replaced(owner: Any, name: str, wrapped: Callable[[Any], Any]) -> Iterator[None]:
    kept = getattr(owner, name)
    setattr(owner, name, wrapped(kept))
    try:
        yield
    finally:
        setattr(owner, name, kept)


def _add_scalar(kept: Any, log: Callable[[Mapping[str, Any], Any], None]) -> Any:
    @functools.wraps(kept)
    def add_scalar(self: Any, tag: str, scalar_value: Any, global_step: Any = None, *args: Any, **kwargs: Any) -> Any:
        result = kept(self, tag, scalar_value, global_step, *args, **kwargs)
        log({tag: float(scalar_value)}, global_step)
        return result

    return add_scalar


def _wandb_log(kept: Any, log: Callable[[Mapping[str, Any], Any], None], inside: list[None]) -> Any:
    """`inside` is not empty while one of the two ways to log runs: the other, called by it, logs nothing more."""

    @functools.wraps(kept)
    def wandb_log(data: Mapping[str, Any], step: Any = None, *args: Any, **kwargs: Any) -> Any:
        inside.append(None)
        try:
            result = kept(data, step, *args, **kwargs)
        finally:
            inside.pop()
        if not inside:
            log({name: float(value) for name, value in data.items() if _is_number(value)}, step)
        return result

    return wandb_log


def _run_log(kept: Any, log: Callable[[Mapping[str, Any], Any], None], inside: list[None]) -> Any:
    """The same for the method of `run = wandb.init()`."""

    @functools.wraps(kept)
    def run_log(self: Any, data: Mapping[str, Any], step: Any = None, *args: Any, **kwargs: Any) -> Any:
        return _wandb_log(functools.partial(kept, self), log, inside)(data, step, *args, **kwargs)

    return run_log


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (hasattr(value, "item") and getattr(value, "numel", lambda: 1)() == 1)
