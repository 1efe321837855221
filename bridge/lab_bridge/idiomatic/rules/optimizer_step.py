"""Optimizers whose step is more than backward and one update: closures, phases, several at once, lookahead."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_sam, test_lookahead, test_several_critic_steps"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if not semantics.own_step:
        return None
    return f"{semantics.optimizer} has a {semantics.own_step[0]} of its own, which Lightning would not call"
