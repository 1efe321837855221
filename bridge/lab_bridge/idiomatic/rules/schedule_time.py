"""Schedules that are not asked before every update."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_after_the_update, test_per_micro_batch, test_per_epoch, test_every_n"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    unusual = [time for time in semantics.times if time != ("update", "before", 1)]
    if not unusual:
        return None
    per, when, every = unusual[0]
    return f"a schedule is asked {when} every {per}, at each {every}.; Lightning's scheduler moves with every update"
