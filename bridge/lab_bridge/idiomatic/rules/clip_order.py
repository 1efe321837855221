"""Scaled gradients that are clipped; Lightning unscales them before."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_before_unscaling"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.clip_scaled and semantics.clip is not None:
        return "Gradients.clip_scaled clips before unscaling"
    return None
