"""A trainer of the project's own, whose methods Lightning's loop would not call."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_a_step_of_the_projects_own"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if not semantics.own_trainer:
        return None
    return f"the project's trainer has a {semantics.own_trainer[0]} of its own, which Lightning's loop would not call"
