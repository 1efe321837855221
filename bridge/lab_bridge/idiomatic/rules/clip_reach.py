"""Clipping over more parameters than the optimizer has, or gradients zeroed beyond them."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_over_a_wider_set_than_the_optimizers, test_gradients_beyond_the_optimizers_pile_up"
KEEPS = "clipping"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.clip_reach != "optimizer" or semantics.zeroes != "optimizer":
        return "clipping or zeroing reaches the whole model, not the optimizer's parameters only"
    return None
