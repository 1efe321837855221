"""Hooks that act before a step's first batch: Lightning fetches the batch first."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_a_hook_before_the_batch"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if not semantics.early_hooks:
        return None
    return f"{semantics.early_hooks[0]} acts before a step's first batch, which Lightning has fetched by then"
