"""Ranks average after every loss; Lightning would once an update."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_own_reduction_at_every_loss"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    return "Gradients.reduce_at is 'loss'" if semantics.reduce_at != "update" else None
