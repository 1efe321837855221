"""Loss scaling and fp32 masters: Lightning has torch's scaler only, and clips after unscaling."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_fp16_with_a_scale_that_moves, test_fp16_with_a_fixed_scale, test_fp32_masters, test_before_unscaling"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.scaler is not None:
        return f"Gradients.scaler is {semantics.scaler}; on a CPU Lightning's 16-mixed is bf16"
    if semantics.masters:
        return "Gradients.masters updates fp32 copies of the parameters"
    if semantics.clip_scaled:
        return "Gradients.clip_scaled clips before unscaling"
    return None
