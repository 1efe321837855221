"""The learning rates that a hook looks at behind a step."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from lab_migrate.native.parts.precision import may_skip
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.sheet import Sheet
from lab_migrate.native.tuned import Tuned

__all__ = ["rates"]

WRITES = re.compile(r"""\[["']lr["']\]\s*[-+*/]*=[^=]|\w\.(update|setdefault|pop)\(""")


def rates(sheet: Sheet, asked: Set[str]) -> str | None:
    """Where a callback finds the rates: `now` in the optimizer, or as they were `before` the step; None if not `asked`.

    Asked before a step, they are `kept` from the update before; those of several optimizers' `parts` are, too.
    Raises `NotNativeError` where they cannot be told.
    """
    if "groups" in asked:
        _require_settable(sheet, asked)
    if not asked & {"rates", "rates of parts"}:
        return None
    several = len(sheet.optimizers) != 1
    if several and "rates" in asked:
        raise _refused("without saying of which of several optimizers")
    if not several and "rates of parts" in asked:
        raise _refused("of one of several optimizers, and there is one")
    if several and may_skip(sheet.trainer):
        raise _refused("beside a loss scaler, which may skip updates of one of them")
    if "rates of all" in asked and sheet.optimizers[0].multipliers is not None:
        raise _refused("as they are before its multipliers")
    late = [_is_late(one) for one in sheet.optimizers]
    if several:
        if any(late):
            raise _refused("and one of several has a schedule that is asked behind updates")
        return "kept parts" if "rates before" in asked else "parts"
    return "now" if late == [True] else "kept" if "rates before" in asked else "before"


def _require_settable(sheet: Sheet, asked: Set[str]) -> None:
    """A hook's rates stay until it sets others. Raises `NotNativeError` where Lab puts them back, or has several."""
    why = None
    if len(sheet.optimizers) != 1:
        why = "of which of several optimizers, is not looked at"
    elif sheet.optimizers[0].schedules:
        why = "beside a schedule: each time it is asked, Lab puts back all rates that it does not set"
    elif "rates of all" in asked:
        why = "and a hook looks at that in hyper, which stays as it was"
    if why is not None:
        raise NotNativeError(
            "LM405", f"a hook sets the optimizer's learning rates, {why}",
            "write it as a lightning.Callback after the conversion, and drop it from the config before",
        )  # fmt: skip


def _is_late(optimizer: Tuned) -> bool:
    """Whether nothing moves its rates from an update to what comes behind."""
    if optimizer.code is not None and WRITES.search("\n".join(optimizer.code.body)):
        raise _refused("which its update changes")
    late: set[Any] = {one.late for one in optimizer.schedules}
    if any(one.per not in ("update", "window") for one in optimizer.schedules) or len(late) > 1:
        raise _refused("and schedules are asked at several times, or by losses or passes")
    return late == {True} or (not late and optimizer.role == "")


def _refused(why: str) -> NotNativeError:
    return NotNativeError(
        "LM405", f"a hook looks at the optimizer's learning rates, {why}",
        "have it ask the schedule, or stay at level L2",
    )  # fmt: skip
