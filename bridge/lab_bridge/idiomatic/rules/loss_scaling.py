"""Loss scales that are not torch's, and fp32 masters."""

from __future__ import annotations

from lab_bridge.idiomatic.semantics import Semantics

ROW = "test_fp16_with_a_scale_that_moves, test_fp16_with_a_fixed_scale, test_fp32_masters"
KEEPS = "scaling"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.masters and not semantics.native:
        return "Gradients.masters updates fp32 copies of the parameters"
    if semantics.native or semantics.scaler in (None, "TorchScaler"):
        return None  # in a native training any other is written into the project, for Lightning's plugin to call
    return f"Gradients.scaler is {semantics.scaler}; Lightning has torch's only, and on a CPU its 16-mixed is bf16"
