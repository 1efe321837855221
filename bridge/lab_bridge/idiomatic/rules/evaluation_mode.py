"""Evaluation before step 0, in Lightning's validation loop."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_before_step_0, test_without_eval_mode, test_without_touching_the_trainings_generators"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if not semantics.native:  # the drop-in evaluates as Lab does, between two steps
        return None
    if semantics.eval_at_start:
        return "Evaluation.at_start evaluates before step 0; the sanity check is not that"
    return None
