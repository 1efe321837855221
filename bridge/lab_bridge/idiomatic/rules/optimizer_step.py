"""Optimizers whose step is more than backward and one update: closures, phases, several at once, lookahead."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import PLAIN_OPTIMIZERS, Semantics

ROW = "optimizers: closures, SAM, lookahead, several"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.optimizer in PLAIN_OPTIMIZERS:
        return None
    return f"{semantics.optimizer} has a step of its own, which Lightning would not call"
