"""What happens between steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from lab_migrate.native.hooks import OwnHook, own_hook
from lab_migrate.native.lift import lift
from lab_migrate.native.own_average import own_average
from lab_migrate.native.parts.precision import has_scaler
from lab_migrate.native.parts.rates import rates
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


def callbacks(sheet: Sheet, batches: str | None) -> dict[str, Any]:
    """What the script and the other files are told of them; `batches` is the setting of how many a step takes.

    Raises `NotNativeError` for a hook without a form.
    """
    if sum(type(hook).__name__ == "Keep" for hook in sheet.trainer.hooks) > 1:
        raise NotNativeError("LM405", "Trainer.hooks has two Keep, which overwrite each other's files", "keep one")
    kinds = {type(hook).__name__: hook for hook in sheet.trainer.hooks}
    moved, own = anneals(sheet), _own(sheet, batches)
    _require_best_last(sheet, own)
    asked = {asked for one in own.values() for asked in one.asks}
    average = _average(sheet, "average" in asked)
    looked_at = rates(sheet, asked)
    sheet.given += [target for one in own.values() for target in one.labs]
    given = [line for one in own.values() for line in one.given]
    functions = [one.schedule for one in moved if one.schedule.settings is not None]
    given += [line for one in functions for line in _imports_of(one)]
    given += [f"from {sheet.package}.datasets import {target.rpartition('.')[2]}" for target in sheet.given]
    states = lift("legacy_lab.train.checkpoint.generator_states")
    states += lift("legacy_lab.train.checkpoint.set_generator_states")
    sheet.own["generators.py"] = {"imports": states.imports, "code": states.code}
    imports = [
        *STANDARD, "from contextlib import ExitStack", "from functools import partial", "from pathlib import Path",
        "from lightning.pytorch.callbacks import ModelCheckpoint",
        f"from {sheet.package}.config import Averaging, SlowWeights",
        f"from {sheet.package}.generators import generator_states, set_generator_states",
    ]  # fmt: skip
    imports += [f"from {sheet.package}.average import {average['own']}"] if average and average["own"] else []
    imports += [line for one in own.values() for line in one.imports]
    # Two of one class have the same code; two of one name have not, and are seen when the file is written.
    sheet.own["callbacks.py"] = {
        "imports": imports, "own_hooks": list(dict.fromkeys(code for one in own.values() for code in one.code)),
    }  # fmt: skip
    listed = [
        "Generators()",
        *(["Lookahead(config.lookahead)"] if sheet.ahead is not None else []),
        *([f"Average({average['made'] if average['own'] else 'config.averaging'})"] if average else []),
    ]
    draws = _draws(sheet, average)
    listed += ["EvaluationDraws()"] if draws is not None else []
    listed += ["Rates()"] if looked_at in ("before", "kept", "parts", "kept parts") else []
    waiting = iter(moved)
    for number, hook in enumerate(sheet.trainer.hooks):
        match type(hook).__name__:
            case "Anneal":
                one = next(waiting)
                listed.append(f'Anneal("{one.of}", {one.schedule.made("config")})')
            case "StopOnNaN":
                listed.append("StopOnNaN()")
            case "Keep":
                pass
            case _:
                listed.append(own[number].made)
    keep = kinds.get("Keep")
    first = _first(sheet, keep, "checkpoint" in asked)
    listed += ["FirstEvaluation()"] if first else []  # behind what hooks do before the training
    saving = bool(sheet.trainer.checkpoint_every) and (sheet.evaluates or batches is not None)
    return {
        "ema": average,
        "ahead": sheet.ahead,
        "ahead_counts": sheet.ahead is not None and has_scaler(sheet.trainer.optimizer),
        "draws": draws,
        "rates": looked_at,
        "parts": repr(tuple(one.role for one in sheet.optimizers)),
        "first_evaluation": first,
        "anneals": bool(moved),
        "stop_on_nan": "StopOnNaN" in kinds,
        "keep": None if keep is None else {"last": keep.last, "best": keep.best, "mode": keep.mode},
        "saving": saving,
        "callback_names": [*dict.fromkeys(line.partition("(")[0] for line in listed), *(["Saving"] if saving else [])],
        "callbacks": listed,
        "given": list(dict.fromkeys(given)),
        "asked": asked,
    }


def _imports_of(schedule: Scheduled) -> list[str]:
    """What the expression of a schedule that is a function needs."""
    partial = ["from functools import partial"] if schedule.made("").startswith("partial(") else []
    return [*partial, *([schedule.imported] if schedule.imported else [])]


def _own(sheet: Sheet, batches: str | None) -> dict[int, OwnHook]:
    """Hooks that are rewritten, by their number. Raises `NotNativeError`."""
    found: dict[int, OwnHook] = {}
    for number, hook in enumerate(sheet.trainer.hooks):
        if type(hook).__name__ in HOOKS:
            continue
        one = own_hook(hook, sheet.schema, batches, sheet.draws)
        if one.logs and not sheet.trainer.log_every:
            raise NotNativeError(
                "LM405", f"the hook {one.name} logs, and Trainer.log_every is 0: there is no logger", "set log_every"
            )
        if one.has_state and one.name in {other.name for other in found.values()}:
            raise NotNativeError(
                "LM405", f"Trainer.hooks has two {one.name}, whose states a checkpoint would not tell apart",
                "give one of them a class of its own",
            )  # fmt: skip
        found[number] = one
    return found


def _require_best_last(sheet: Sheet, own: dict[int, OwnHook]) -> None:
    """Lightning writes the best checkpoint behind all callbacks. Raises where one may change the model before."""
    best = [number for number, hook in enumerate(sheet.trainer.hooks) if getattr(hook, "best", None) and _is_keep(hook)]
    behind = [one.name for number, one in own.items() if "model" in one.asks and best and number > best[0]]
    if behind:
        raise NotNativeError(
            "LM405", f"Keep writes the best checkpoint before the hook {behind[0]} has the model behind an evaluation, "
            "and Lightning after it", "put Keep last in Trainer.hooks",
        )  # fmt: skip


def _is_keep(hook: Any) -> bool:
    return type(hook).__name__ == "Keep"


def _draws(sheet: Sheet, average: dict[str, Any] | None) -> dict[str, Any] | None:
    """From which generators an evaluation draws, if not from the training's. Raises `NotNativeError`."""
    evaluation = sheet.trainer.evaluation
    generators = getattr(evaluation, "generators", "shared")
    as_usual = generators == "shared" and getattr(evaluation, "eval_mode", True)
    if as_usual or not sheet.evaluates:
        return None
    if average is not None and average["swaps_itself"]:
        raise NotNativeError(
            "LM405", f"{average['own']} swaps itself in by a way of its own, which may draw or set the mode, and "
            "Evaluation has a mode or generators of its own", "evaluate without, or stay at level L2",
        )  # fmt: skip
    if generators == "shared":
        return None
    return {"seed": evaluation.seed if generators == "own" else None}


def _first(sheet: Sheet, keep: Any, saves: bool) -> bool:
    """Whether an evaluation comes before the first step. Raises `NotNativeError`."""
    if not getattr(sheet.trainer.evaluation, "at_start", False):
        return False
    if not sheet.evaluates:
        raise NotNativeError(
            "LM405", "Evaluation.at_start evaluates, and Trainer.eval_every is 0: a native training has no evaluation",
            "set eval_every, or drop at_start",
        )  # fmt: skip
    if saves:
        raise NotNativeError(
            "LM405", "a hook writes a checkpoint behind evaluations, one of which is before step 0: Lightning would "
            "not go on from there", "drop Evaluation.at_start, or stay at level L2",
        )  # fmt: skip
    if keep is not None and keep.best:
        raise NotNativeError(
            "LM405", "Keep.best looks at the evaluation before step 0, behind which Lightning writes no checkpoint",
            "drop one of the two, or stay at level L2",
        )  # fmt: skip
    return True


def _average(sheet: Sheet, asked: bool) -> dict[str, Any] | None:
    ema = sheet.trainer.ema
    if ema is None:
        if asked:
            raise NotNativeError("LM405", "a hook asks for Trainer.ema, and there is none", "bind it, or drop the hook")
        return None
    own = own_average(ema, sheet.schema, asked)
    swaps = sheet.evaluates and getattr(sheet.trainer.evaluation, "averaged", True)
    if own is None:
        return {
            "own": None, "decay": ema.decay, "warmup": ema.warmup, "buffers": ema.buffers, "swaps": swaps,
            "swaps_itself": False,
        }  # fmt: skip
    sheet.own["average.py"] = {"imports": own.imports, "code": own.code}
    return {"own": own.name, "made": own.made, "swaps": swaps, "swaps_itself": own.swaps_itself}
