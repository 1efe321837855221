"""Optimizers whose step is more than backward and one update: closures, phases, several at once, lookahead."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import PLAIN_OPTIMIZERS, Semantics

ROW = "test_lbfgs_by_closure, test_sam, test_lookahead, test_several_critic_steps"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.optimizer in PLAIN_OPTIMIZERS:
        return None
    return f"{semantics.optimizer} has a step of its own, which Lightning would not call"
