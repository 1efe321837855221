"""Steps that are not batch, loss, update."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "optimizers: closures, two phases, adversaries"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.stepper == "Plain":
        return None
    return f"Trainer.stepper is {semantics.stepper}; Lightning knows one loss and one update a step"
