"""Steps that are not batch, loss, update."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_lbfgs_by_closure, test_sam, test_several_critic_steps"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.stepper == "Plain":
        return None
    return f"Trainer.stepper is {semantics.stepper}; Lightning knows one loss and one update a step"
