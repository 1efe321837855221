"""Clipping over more parameters than the optimizer has, or gradients zeroed beyond them."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "clipping: a wider set than the optimizer's"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.clip_reach != "optimizer" or semantics.zeroes != "optimizer":
        return "clipping or zeroing reaches the whole model, not the optimizer's parameters only"
    return None
