"""Autocast around the model only: Lightning's stands around the whole of training_step."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_bf16_autocast_with_the_loss_outside"
KEEPS = "precision"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.native or semantics.precision != "Autocast" or semantics.loss_inside:
        return None
    return "Autocast.loss_inside is off; Lightning casts the loss as well"
