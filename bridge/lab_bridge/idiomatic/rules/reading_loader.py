"""Loaders that read the training's step: Lightning fetches outside the step."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "loaders: mixtures that read the global step"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    return "the loader reads the trainer's step" if semantics.reads_the_trainer else None
