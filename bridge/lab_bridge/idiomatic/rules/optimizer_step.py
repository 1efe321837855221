"""Optimizers whose step is more than backward and one update: closures, phases, several at once, lookahead."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import PLAIN_OPTIMIZERS, Semantics

ROW = "test_sam, test_lookahead, test_several_critic_steps"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.own_step:
        return f"{semantics.optimizer} has a {semantics.own_step[0]} of its own, which Lightning would not call"
    if semantics.native and semantics.optimizer not in PLAIN_OPTIMIZERS:
        return f"{semantics.optimizer} has a step of its own, which Lightning would not call"
    return None
