"""Level L3: optimizers that evaluate the loss themselves, or are stepped in two phases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gin
import pytest

import legacy_lab

from .settings import LBFGS, SAM

#: Steps by closure. What is recorded are the steps of torch's optimizers, which Lab's passes the closure on to.
CLOSURES: dict[str, tuple[str, ...]] = {
    "LBFGS": LBFGS,
    "LBFGS, a schedule, an average, a search along the line": (
        *LBFGS,
        "Torch.settings = {'max_iter': 3, 'line_search_fn': 'strong_wolfe'}",
        "Trainer.ema = @EMA()",
        "Torch.schedule = @WarmupCosine()",
        "WarmupCosine.lr = 0.2",
        "WarmupCosine.total = 9",
    ),
    "LBFGS in bf16": (*LBFGS, "Trainer.precision = @Autocast()"),
    "another of torch's by closure": (
        "Trainer.optimizer = @Torch",
        "Torch.name = 'Adam'",
        "Trainer.stepper = @Closure()",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSURES)
def test_a_native_training_by_closure_has_the_bits_of_labs(native: Any, name: str) -> None:
    """Every evaluation of every step, over nine steps."""
    native.identical(*CLOSURES[name], sites=[])


@pytest.mark.parametrize("stepper", ["TwoPhase", "Closure"])
def test_sam_logs_the_loss_that_labs_stepper_did(native: Any, tmp_path: Path, stepper: str) -> None:
    """That of the first phase, or of the last evaluation; they differ."""
    root = native.written(*SAM, "SAM.radius = 0.5", f"Trainer.stepper = @{stepper}()")
    legacy_lab.load_config(root / "blobs.gin", [f"Trainer.run_dir = '{tmp_path / 'lab'}'"])
    logged = legacy_lab.Trainer().train()["loss"]
    gin.clear_config()
    trainer = native.train()
    assert float(trainer.callback_metrics["loss"]) == logged
