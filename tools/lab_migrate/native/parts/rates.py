"""The learning rates that a hook looks at behind a step."""

from __future__ import annotations

import re
from typing import Any

from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.sheet import Sheet

__all__ = ["rates"]

WRITES = re.compile(r"""\[["']lr["']\]\s*[-+*/]*=[^=]|\w\.(update|setdefault|pop)\(""")


def rates(sheet: Sheet, asked: bool) -> str | None:
    """Where a callback finds the rates: `now` in the optimizer, or as they were `before` the step; None if not `asked`.

    Raises `NotNativeError` where they cannot be told.
    """
    if not asked:
        return None
    if len(sheet.optimizers) != 1:
        raise _refused("and there are several optimizers")
    (optimizer,) = sheet.optimizers
    if optimizer.code is not None and WRITES.search("\n".join(optimizer.code.body)):
        raise _refused("which its update changes")
    late: set[Any] = {one.late for one in optimizer.schedules}
    if any(one.per not in ("update", "window") for one in optimizer.schedules) or len(late) > 1:
        raise _refused("and schedules are asked at several times, or by losses or passes")
    return "now" if late == {True} else "before"


def _refused(why: str) -> NotNativeError:
    return NotNativeError(
        "LM405", f"a hook looks at the optimizer's learning rates, {why}",
        "have it ask the schedule, or stay at level L2",
    )  # fmt: skip
