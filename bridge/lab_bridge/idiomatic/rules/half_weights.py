"""Weights that are of a lower precision themselves, and what Lab casts around them."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_fp32_masters"
KEEPS = "precision"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.precision in (None, "Autocast") or (semantics.native and semantics.precision == "HalfWeights"):
        return None
    return f"Trainer.precision is {semantics.precision}; Lightning would cast other things than it does"
