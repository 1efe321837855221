"""Loss scaling and fp32 masters: Lightning has torch's scaler only, and clips after unscaling."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "precision: fp16 with a scaler, fp32 masters"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.scaler is not None:
        return f"Gradients.scaler is {semantics.scaler}; on a CPU Lightning's 16-mixed is bf16"
    if semantics.masters:
        return "Gradients.masters updates fp32 copies of the parameters"
    if semantics.clip_scaled:
        return "Gradients.clip_scaled clips before unscaling"
    return None
