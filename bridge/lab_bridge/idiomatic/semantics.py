"""What a Lab training takes for granted, as far as Lightning's automatic optimization could tell."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
from torch import distributed as dist

from lab_bridge.replaced import replaced

__all__ = ["CLIPS", "Semantics", "Time", "semantics_of"]

#: What Lab has around its optimizers, with a `step` that is not backward, accumulate, schedule, clip, update, zero.
AROUND = ("Lookahead", "SAM", "Several")

#: Ways of clipping that Lightning has in the same bits, by Lightning's names.
CLIPS = {"ClipTorchNorm": "norm", "ClipValue": "value"}

#: What an optimizer of a project's own may define without changing when anything happens.
ITS_OWN = ("__init__", "update", "apply", "slot", "state", "load_state", "named_parameters", "reduce", "clip", "zero")

#: What of the trainer Lightning's loop stands in for: a project's own would not be called.
REPLACED = ("train_step", "compute")


@attrs.frozen
class Time:
    """When a schedule is asked, and what it is known to move (empty: that is not known)."""

    per: str
    when: str
    every: int
    moves: frozenset[str] = frozenset()


@attrs.frozen(kw_only=True)
class Semantics:
    """The assumptions that the rules look at; each is named after the setting of Lab's that it comes from.

    `native` is whether the training is to be written anew, not to be run as it is. Classes are given by name, those of
    the project's own with their module. `batches_per_epoch` is None for a loader that does not say; `times` says
    when schedules are asked; `moves` the hyperparameters that they move as far as that is known; `early_hooks` are
    hooks that do something before a step's first batch. `own_step` and `own_trainer` are methods that the project
    has replaced. `ranks` is how many processes train.
    """

    optimizer: str
    native: bool = False
    own_step: tuple[str, ...] = ()
    own_clip: bool = False
    own_trainer: tuple[str, ...] = ()
    accumulation: str = "Accumulation"
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
    ranks: int = 1
    times: tuple[Time, ...] = ()
    moves: tuple[str, ...] = ()
    average: str | None = None
    stepper: str = "Plain"
    skip_nan: bool = False
    precision: str | None = None
    loss_inside: bool = True
    hooks: tuple[str, ...] = ()
    early_hooks: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether Lightning's epochs can be the loader's: no window reaches over an epoch's end."""
        size = self.batches_per_epoch
        return size is not None and (self.leftover == "step" or size % self.every == 0)


def semantics_of(trainer: Any) -> Semantics:
    """Read them off a Lab trainer, or off the typed config of one (`native`): both name their parts alike."""
    optimizer = trainer.optimizer
    accumulation: Any = getattr(optimizer, "accumulation", None) or getattr(optimizer, "accumulate", 1)
    gradients = getattr(optimizer, "gradients", None)
    clipping = getattr(optimizer, "clipping", None) or getattr(gradients, "clip", None)
    clip_norm = getattr(optimizer, "clip_norm", None)
    schedules = list(_schedules(optimizer))
    loader, precision = trainer.loader, trainer.precision
    native = hasattr(type(trainer), "__attrs_attrs__")
    return Semantics(
        optimizer=_named(optimizer),
        native=native,
        own_step=(("step",) if _named(optimizer) in AROUND else ()) if native else _own_step(optimizer),
        own_clip=not native and replaced(optimizer, ("clip",)) != (),
        own_trainer=() if native else replaced(trainer, REPLACED),
        accumulation="Accumulation" if isinstance(accumulation, int) else _named(accumulation),
        every=getattr(accumulation, "every", accumulation),
        form=getattr(accumulation, "form", "mean"),
        leftover=getattr(accumulation, "leftover", "carry"),
        batches_per_epoch=getattr(loader, "size" if _named(loader) == "Epochs" else "batches_per_epoch", None),
        clip="ClipNorm" if clip_norm is not None else _name(clipping),
        clip_reach=getattr(clipping, "reach", "optimizer"),
        clip_scaled=getattr(gradients, "clip_scaled", False),
        scaler=_name(getattr(gradients, "scaler", None)),
        masters=getattr(gradients, "masters", False),
        zeroes=getattr(gradients, "zeroes", "optimizer"),
        reduce_at=getattr(gradients, "reduce_at", "update"),
        ranks=dist.get_world_size() if not native and dist.is_available() and dist.is_initialized() else 1,
        times=tuple(_time(timed) for timed in schedules),
        moves=tuple(timed.of for timed in _inner(schedules) if hasattr(timed, "of")),
        average=_name(trainer.ema),
        stepper=_name(trainer.stepper) or "Plain",
        skip_nan=getattr(trainer.stepper, "skip_nan", False),
        precision=_name(precision),
        loss_inside=getattr(precision, "loss_inside", True),
        hooks=tuple(_named(hook) for hook in trainer.hooks),
        early_hooks=() if native else tuple(type(hook).__name__ for hook in trainer.hooks if _is_early(hook)),
    )


def _name(part: Any) -> str | None:
    return None if part is None else _named(part)


def _named(part: Any) -> str:
    """Its class where that is Lab's own; else the class with its module, which no rule knows."""
    cls = type(part)
    live = cls.__module__.startswith("legacy_lab.")
    typed = hasattr(cls, "__attrs_attrs__")
    return cls.__name__ if live or typed else f"{cls.__module__}.{cls.__qualname__}"


def _own_step(optimizer: Any) -> tuple[str, ...]:
    """What stands between a loss and an update and is not Lab's base optimizer's; `step` for one not built on it."""
    from legacy_lab.optim.optimizer import Optimizer

    if not isinstance(optimizer, Optimizer):
        return ("step",)
    methods = (name for name, member in vars(Optimizer).items() if inspect.isfunction(member))
    return replaced(optimizer, [name for name in methods if name not in ITS_OWN])


def _time(schedule: Any) -> Time:
    moves = set()
    for part in _inner([schedule]):
        if hasattr(part, "schedule") or hasattr(part, "schedules"):
            continue
        known = "lr" if type(part).__name__ == "WarmupCosine" else getattr(part, "of", None)
        if known is None:
            return Time(*_asked(schedule))
        moves.add("betas" if known == "beta1" else known)
    return Time(*_asked(schedule), frozenset(moves))


def _asked(schedule: Any) -> tuple[str, str, int]:
    if type(schedule).__name__ == "Timed":
        return schedule.per, schedule.when, schedule.every
    return "update", "before", 1


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
    """Whether a live hook does something before a step's first batch; `Anneal`, which only sets a weight, may wait.

    Of a typed config level L3 reads the hook's source instead.
    """
    from legacy_lab.train.anneal import Anneal
    from legacy_lab.train.hooks import Hook

    if not isinstance(hook, Hook):
        return True
    return type(hook).before_step not in (Hook.before_step, Anneal.before_step)
