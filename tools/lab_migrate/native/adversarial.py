"""A generator and its critic, which no single loss trains: manual optimization."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import attrs

from lab_bridge.idiomatic import Objection, objections
from lab_bridge.idiomatic.semantics import semantics_of
from lab_migrate.native.parts.module import imports_of, optimizer_file, own_clips
from lab_migrate.native.parts.objective import objective
from lab_migrate.native.parts.precision import kinds_of, own_imports, scalers_of
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.sheet import Sheet
from lab_migrate.native.tuned import Tuned

__all__ = ["adversarial", "is_adversarial", "objections_of", "optimizers_of"]

ROLES = ("critic", "generator")


def is_adversarial(trainer: Any) -> bool:
    """Whether Lab's adversarial stepper trains two optimizers."""
    return type(trainer.stepper).__name__ == "Adversarial" and type(trainer.optimizer).__name__ == "Several"


def optimizers_of(trainer: Any) -> list[Any]:
    """The configs of all that a training has."""
    if not is_adversarial(trainer):
        return [trainer.optimizer]
    return [getattr(one, "config", one) for one in trainer.optimizer.optimizers.values()]


def objections_of(trainer: Any) -> tuple[Objection, ...]:
    """What the rules of the idiomatic tier say of each optimizer on its own: all but that there are two."""
    found: dict[Objection, None] = {}
    for one in optimizers_of(trainer):
        alone = attrs.evolve(trainer, optimizer=one, stepper=None)
        semantics = semantics_of(alone)
        if semantics.every != 1:
            found[Objection("stepper", "test_several_critic_steps", "an adversarial step accumulates", None)] = None
        if semantics.leftover == "count":
            why = "an adversarial step takes the mean over a critic's losses in one graph (Accumulation.leftover)"
            found[Objection("leftover_window", "test_leftover_over_its_count", why, None)] = None
        found |= dict.fromkeys(objections(semantics))
    return tuple(found)


def adversarial(sheet: Sheet, asked: Set[str]) -> None:
    """The module; `asked` are the things that it keeps for hooks.

    Raises `NotNativeError` for a precision, which Lab's adversarial step does not look at.
    """
    trainer, stepper = sheet.trainer, sheet.trainer.stepper
    if set(trainer.optimizer.optimizers) != set(ROLES):
        named = ", ".join(trainer.optimizer.optimizers)
        raise NotNativeError("LM405", f"Several.optimizers is for {named}, not for critic and generator", "rename them")
    if trainer.precision is not None:
        raise NotNativeError(
            "LM405", "Trainer.precision is set, which Lab's adversarial step takes no notice of",
            "drop it from the config, which changes evaluation only, or stay at level L2",
        )  # fmt: skip
    if any(type(hook).__name__ == "Anneal" for hook in trainer.hooks):
        raise NotNativeError("LM405", "Anneal moves the objective, which an adversarial step does not use", "drop it")
    if any(one.masters for one in sheet.optimizers):
        raise NotNativeError(
            "LM405", "an adversarial step updates fp32 copies", "drop Gradients.masters, or stay at L2"
        )
    scheduled = [one for one in sheet.optimizers if one.schedules]
    scalers = scalers_of(trainer, sheet.schema)
    kinds = kinds_of(scalers.values())
    # Which updates are penalised is counted only where there is a penalty.
    now_and_then = bool(stepper.penalty) and stepper.penalty_every > 1
    nothing: dict[str, Any] = {"objective": None, "objective_state": False, "objective_module": False, "imports": []}
    told = objective(sheet) if sheet.evaluates or "objective" in asked else nothing
    sheet.own["module.py"] = told | {
        "template": "adversarial.py",
        "imports": [
            *told["imports"],
            *imports_of(sheet),
            *([f"from {sheet.package}.precision import {', '.join(kinds)}"] if kinds else []),
            *own_imports(sheet.package, scalers.values()),
        ],
        "scalers": dict.fromkeys(ROLES) | {role: one["made"] for role, one in scalers.items()},
        "scaled": list(scalers),
        "key": stepper.key,
        "sharing": stepper.sharing,
        "several": stepper.critic_steps > 1,
        "start": stepper.start,
        "penalty": stepper.penalty,
        "now_and_then": now_and_then,
        "updates": [_update(sheet, one, number, scheduled) for number, one in enumerate(sheet.optimizers)],
        "optimizers": _configured(sheet, now_and_then and "critic" in scalers),
        "zeros": {one.field: one.zeros for one in sheet.optimizers},
        "own_clips": own_clips(sheet),
    }
    optimizer_file(sheet)


def _update(sheet: Sheet, optimizer: Tuned, number: int, scheduled: list[Tuned]) -> dict[str, Any]:
    """What `update_critic` and `update_generator` do."""
    schedules = "self.lr_schedulers()"
    if len(scheduled) > 1:
        schedules += f"[{scheduled.index(optimizer)}]" if optimizer in scheduled else ""
    clipping = optimizer.clipping
    return {
        "field": optimizer.field,
        "number": number,
        "algorithm": clipping.algorithm if clipping is not None else None,
        "limit": f"self.config.{optimizer.prefix}clip",
        "clip": clipping.lines(optimizer.prefix) if clipping is not None else [],
        "named": clipping is not None and clipping.named,
        "schedule": schedules if optimizer in scheduled else None,
        "zeros": optimizer.zeros,
    }


def _configured(sheet: Sheet, counts: bool) -> list[str]:
    lines, returned = [], []
    for one in sheet.optimizers:
        lines += one.built(f"self.model.{one.field}")
        schedule = one.scheduled()
        if schedule is None:
            returned.append(
                f'{{"optimizer": {one.field}}}' if any(o.schedules for o in sheet.optimizers) else one.field
            )
        else:
            returned.append(f'{{"optimizer": {one.field}, "lr_scheduler": {schedule}}}')
    if counts:
        lines.append("critic.register_step_post_hook(self.count_update)")
    return [*lines, f"return [{', '.join(returned)}]"]
