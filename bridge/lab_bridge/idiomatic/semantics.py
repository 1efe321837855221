"""What a Lab training takes for granted, as far as Lightning's automatic optimization could tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

__all__ = ["PLAIN_OPTIMIZERS", "Semantics", "semantics_of"]

#: Optimizers of Lab's whose `step` is the base class's: backward, accumulate, schedule, clip, update, zero.
PLAIN_OPTIMIZERS = ("Adam", "LAMB", "RAdam", "SGD", "Torch")


@attrs.frozen(kw_only=True)
class Semantics:
    """The assumptions that the rules look at; each is named after the setting of Lab's that it comes from.

    `batches_per_epoch` is None for a loader that does not say; `times` are (per, when, every) of each schedule, `moves`
    the hyperparameters that schedules move as far as that is known; `hooks` are the classes of the hooks, and
    `early_hooks` of those that do something before a step's first batch or between its losses.
    """

    optimizer: str
    every: int = 1
    form: str = "mean"
    leftover: str = "carry"
    batches_per_epoch: int | None = None
    clip: str | None = None
    clip_reach: str = "optimizer"
    clip_scaled: bool = False
    scaler: str | None = None
    masters: bool = False
    zeroes: str = "optimizer"
    reduce_at: str = "update"
    times: tuple[tuple[str, str, int], ...] = ()
    moves: tuple[str, ...] = ()
    stepper: str = "Plain"
    skip_nan: bool = False
    precision: str | None = None
    loss_inside: bool = True
    evaluates: bool = False
    eval_at_start: bool = False
    eval_mode: bool = True
    eval_averaged: bool = True
    eval_generators: str = "shared"
    hooks: tuple[str, ...] = ()
    early_hooks: tuple[str, ...] = ()
    reads_the_trainer: bool = False
    resumes: bool = False


def semantics_of(trainer: Any, resumes: bool = False) -> Semantics:
    """Read them off a Lab trainer, or off the typed config of one: both name their parts alike."""
    optimizer = trainer.optimizer
    accumulation: Any = getattr(optimizer, "accumulation", None) or getattr(optimizer, "accumulate", 1)
    gradients = getattr(optimizer, "gradients", None)
    clipping = getattr(optimizer, "clipping", None) or getattr(gradients, "clip", None)
    clip_norm = getattr(optimizer, "clip_norm", None)
    schedules = list(_schedules(optimizer))
    loader, evaluation, precision = trainer.loader, trainer.evaluation, trainer.precision
    return Semantics(
        optimizer=_named(optimizer),
        every=getattr(accumulation, "every", accumulation),
        form=getattr(accumulation, "form", "mean"),
        leftover=getattr(accumulation, "leftover", "carry"),
        batches_per_epoch=getattr(loader, "batches_per_epoch", None),
        clip="ClipNorm" if clip_norm is not None else _name(clipping),
        clip_reach=getattr(clipping, "reach", "optimizer"),
        clip_scaled=getattr(gradients, "clip_scaled", False),
        scaler=_name(getattr(gradients, "scaler", None)),
        masters=getattr(gradients, "masters", False),
        zeroes=getattr(gradients, "zeroes", "optimizer"),
        reduce_at=getattr(gradients, "reduce_at", "update"),
        times=tuple((timed.per, timed.when, timed.every) for timed in schedules if type(timed).__name__ == "Timed"),
        moves=tuple(timed.of for timed in _inner(schedules) if hasattr(timed, "of")),
        stepper=_name(trainer.stepper) or "Plain",
        skip_nan=getattr(trainer.stepper, "skip_nan", False),
        precision=_name(precision),
        loss_inside=getattr(precision, "loss_inside", True),
        evaluates=bool(trainer.eval_every),
        eval_at_start=getattr(evaluation, "at_start", False),
        eval_mode=getattr(evaluation, "eval_mode", True),
        eval_averaged=getattr(evaluation, "averaged", True),
        eval_generators=getattr(evaluation, "generators", "shared"),
        hooks=tuple(type(hook).__name__ for hook in trainer.hooks),
        early_hooks=tuple(type(hook).__name__ for hook in trainer.hooks if _is_early(hook)),
        reads_the_trainer=type(loader).__name__ == "Mixture" or hasattr(loader, "attach"),
        resumes=resumes,
    )


def _name(part: Any) -> str | None:
    return None if part is None else type(part).__name__


def _named(optimizer: Any) -> str:
    """Its class where that is Lab's own; else the class with its module, which no rule knows."""
    cls = type(optimizer)
    live = cls.__module__.startswith("legacy_lab.")
    typed = hasattr(cls, "__attrs_attrs__")
    return cls.__name__ if live or typed else f"{cls.__module__}.{cls.__qualname__}"


def _schedules(optimizer: Any) -> Iterator[Any]:
    found = getattr(optimizer, "schedules", None) or getattr(optimizer, "schedule", None)
    if found is None:
        return
    yield from found if isinstance(found, Sequence) else [found]


def _inner(schedules: Sequence[Any]) -> Iterator[Any]:
    for schedule in schedules:
        yield schedule
        if hasattr(schedule, "schedule"):
            yield from _inner([schedule.schedule])
        if hasattr(schedule, "schedules"):
            yield from _inner(schedule.schedules)


def _is_early(hook: Any) -> bool:
    """Whether a live hook overrides what comes before a batch or between losses; `Anneal` is known to only set."""
    from legacy_lab.train.hooks import Hook

    if not isinstance(hook, Hook):
        return type(hook).__name__ not in ("StopOnNaN", "Keep")
    return any(getattr(type(hook), name) is not getattr(Hook, name) for name in ("before_step", "after_batch"))
