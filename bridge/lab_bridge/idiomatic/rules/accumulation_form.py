"""Lightning divides each loss by the number of micro-batches; no other form has the same bits."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "accumulation: the mean taken elsewhere, or not at all"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.form == "mean":
        return None
    return f"Accumulation.form is {semantics.form!r}; Lightning divides each loss, which only 'mean' does"
