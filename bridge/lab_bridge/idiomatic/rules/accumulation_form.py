"""Lightning divides each loss by the number of micro-batches; no other form has the same bits."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_sum, test_sum_then_gradients_over_k"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.accumulation != "Accumulation":
        return f"the optimizer accumulates by {semantics.accumulation}, which is the project's own"
    if semantics.form == "mean" or semantics.native:
        return None  # a native training that Lightning does not accumulate for takes its steps by hand
    return f"Accumulation.form is {semantics.form!r}; Lightning divides each loss, which only 'mean' does"
