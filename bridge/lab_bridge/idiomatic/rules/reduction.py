"""Ranks whose gradients Lab averages itself: after every loss, or by another sum than DDP's buckets make."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_own_reduction_over_processes, test_own_reduction_at_every_loss"
KEEPS = "reduction"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.reduce_at != "update":
        return "Gradients.reduce_at is 'loss'; Lightning averages once an update"
    if semantics.ranks > 1:
        return f"{semantics.ranks} ranks average each gradient on its own; DistributedDataParallel averages buckets"
    return None
