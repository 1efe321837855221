"""A loss that is passed over as if its batch had not been dealt out; Lightning would count the batch."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_a_nan_loss_is_passed_over"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.native or not semantics.skip_nan:
        return None  # a native training takes its steps by hand then
    return "Plain.skip_nan passes over losses that are not finite"
