"""Several schedules at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gin

from legacy_lab.optim.schedule import Schedule


@gin.configurable  # type: ignore[untyped-decorator]  # gin ships no types
def combined(schedules: Sequence[Schedule]) -> Schedule:
    """One schedule that sets what each of `schedules` sets; where two set the same, the last counts."""

    def schedule(step: int) -> dict[str, Any]:
        hyper: dict[str, Any] = {}
        for part in schedules:
            hyper.update(part(step))
        return hyper

    return schedule
