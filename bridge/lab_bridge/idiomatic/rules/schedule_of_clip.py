"""A clip value that a schedule moves; Lightning's is one number."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_the_limit_is_scheduled"
KEEPS = "clipping"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    return "a schedule moves the clip value" if "clip" in semantics.moves else None
