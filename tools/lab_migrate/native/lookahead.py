"""Lookahead: an optimizer around another, which becomes a callback beside it."""

from __future__ import annotations

from typing import Any

import attrs

from lab_bridge.config.schema import Schema

__all__ = ["Ahead", "without_lookahead"]

TARGET = "legacy_lab.optim.lookahead.Lookahead"


@attrs.frozen
class Ahead:
    """Every `every` updates the slow weights go a share `alpha` of the way."""

    every: int
    alpha: float


def without_lookahead(trainer: Any, schema: Schema) -> tuple[Any, Ahead | None]:
    """A trainer's config with the inner optimizer in the place of the one around it, and what that did."""
    outer = trainer.optimizer
    builder = schema.builder_of(outer)
    if builder is None or builder.target != TARGET:
        return trainer, None
    inner = getattr(outer.inner, "config", outer.inner)
    return attrs.evolve(trainer, optimizer=inner), Ahead(outer.every, outer.alpha)
