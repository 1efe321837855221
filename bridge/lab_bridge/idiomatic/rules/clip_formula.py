"""A formula of clipping that Lightning does not have, or hooks that may ask for the norm that it found."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import CLIPS, Semantics

ROW = "test_global_norm_by_labs_formula, test_per_block, test_own_formula"
KEEPS = "clipping"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.native or semantics.clip is None:
        return None
    if semantics.own_clip or semantics.clip not in CLIPS:
        return f"gradients are clipped by {semantics.clip}; Lightning has torch's norm and the value only"
    if any("." in hook for hook in semantics.hooks):
        return "hooks of the project's own may read optimizer.last_norm, which Lightning's clipping does not tell"
    return None
