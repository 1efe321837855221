"""What happens between steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from lab_migrate.native.lift import lift
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.schedules import Scheduled, schedules_of
from lab_migrate.native.sheet import STANDARD, Sheet

__all__ = ["Annealed", "anneals", "callbacks"]

#: Hooks of Lab's that have a form as callbacks.
HOOKS = ("Anneal", "Keep", "StopOnNaN")


@attrs.frozen
class Annealed:
    """An attribute of the objective that a schedule moves."""

    of: str
    schedule: Scheduled


def anneals(sheet: Sheet) -> Sequence[Annealed]:
    """Those of a training, each with a field of the config that is named after what it moves."""
    found = []
    for hook in sheet.trainer.hooks:
        if type(hook).__name__ == "Anneal":
            (schedule,) = schedules_of(hook.schedule, sheet.schema, f"{hook.of}_schedule")
            found.append(Annealed(hook.of, schedule))
    return found


def callbacks(sheet: Sheet) -> dict[str, Any]:
    """What the script and the other files are told of them. Raises `NotNativeError` for a hook without a form."""
    for hook in sheet.trainer.hooks:
        if type(hook).__name__ not in HOOKS:
            raise NotNativeError(
                "LM405", f"Trainer.hooks has {type(hook).__name__}, which has no form as a callback yet",
                "write it as a lightning.Callback after the conversion, and drop it from the config before",
            )  # fmt: skip
    kinds = {type(hook).__name__: hook for hook in sheet.trainer.hooks}
    average, moved = _average(sheet), anneals(sheet)
    states = lift("legacy_lab.train.checkpoint.generator_states")
    states += lift("legacy_lab.train.checkpoint.set_generator_states")
    sheet.own["generators.py"] = {"imports": states.imports, "code": states.code}
    sheet.own["callbacks.py"] = {"imports": [
        *STANDARD, f"from {sheet.package}.config import Averaging",
        f"from {sheet.package}.generators import generator_states, set_generator_states",
    ]}  # fmt: skip
    listed = {"Generators": ["Generators()"]}
    listed |= {"Average": ["Average(config.averaging)"]} if average else {}
    listed |= {"Anneal": [f'Anneal("{one.of}", config.{one.schedule.field})' for one in moved]} if moved else {}
    listed |= {"StopOnNaN": ["StopOnNaN()"]} if "StopOnNaN" in kinds else {}
    keep = kinds.get("Keep")
    return {
        "ema": average,
        "anneals": bool(moved),
        "stop_on_nan": "StopOnNaN" in kinds,
        "keep": None if keep is None else {"last": keep.last, "best": keep.best, "mode": keep.mode},
        "callback_names": list(listed),
        "callbacks": [line for lines in listed.values() for line in lines],
    }


def _average(sheet: Sheet) -> dict[str, Any] | None:
    ema = sheet.trainer.ema
    if ema is None:
        return None
    builder = sheet.schema.builder_of(ema)
    if builder is None or not builder.target.startswith("legacy_lab."):
        raise NotNativeError(
            "LM405", f"Trainer.ema is {type(ema).__name__}, an average of the project's own",
            "write it as a callback after the conversion, and drop it from the config before",
        )  # fmt: skip
    swaps = sheet.evaluates and getattr(sheet.trainer.evaluation, "averaged", True)
    return {"decay": ema.decay, "warmup": ema.warmup, "buffers": ema.buffers, "swaps": swaps}
