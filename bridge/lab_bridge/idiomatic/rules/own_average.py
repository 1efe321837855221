"""An average by another class than Lab's."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_an_average_of_the_projects_own_stays"
KEEPS = "average"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.native or semantics.average in (None, "EMA"):
        return None
    return f"Trainer.ema is {semantics.average}; Lightning's average follows one formula for each parameter"
