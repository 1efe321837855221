"""A run that goes on from a checkpoint, which may lie in the middle of a window: the faithful tier takes it up."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_cut_anywhere"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    return "the training goes on from a checkpoint" if semantics.resumes else None
