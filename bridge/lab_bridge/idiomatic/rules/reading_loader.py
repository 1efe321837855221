"""Loaders that read the training's step: a loader that is written anew has no trainer."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_a_weighted_mixture_that_reads_the_global_step"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    return "the loader reads the trainer's step" if semantics.native and semantics.reads_the_trainer else None
