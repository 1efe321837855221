"""Level L3: optimizers that evaluate the loss themselves, or are stepped in two phases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gin
import pytest
import torch

import legacy_lab
from lab_parity.testing import assert_same_bits

from .settings import LBFGS, SAM

#: Steps by closure. Lab's update begins before the first evaluation, and is around that of torch's optimizer.
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
    "LBFGS, a parameter that is not trained": (
        *LBFGS,
        "Model.blocks = [@wide/Linear(), @Pinned(), @Norm(), @Activation(), @head/Linear()]",
    ),
    "LBFGS in bf16": (*LBFGS, "Trainer.precision = @Autocast()"),
    "LBFGS, next to settings that Lab takes no notice of": (*LBFGS, "Torch.accumulate = 2", "Torch.clip_norm = 1e-3"),
    "another of torch's, next to a clip that Lab takes no notice of": (
        *LBFGS,
        "Torch.name = 'SGD'",
        "Torch.settings = {'momentum': 0.9}",
        "Torch.gradients = @Gradients()",
        "Gradients.clip = @ClipValue()",
        "ClipValue.limit = 1e-3",
    ),
    "another of torch's by closure": (
        "Trainer.optimizer = @Torch",
        "Torch.name = 'Adam'",
        "Trainer.stepper = @Closure()",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSURES)
def test_a_native_training_by_closure_has_the_bits_of_labs(native: Any, name: str) -> None:
    """Every evaluation of every step, over nine steps."""
    native.identical(*CLOSURES[name])


@pytest.mark.parametrize("stepper", ["TwoPhase", "Closure"])
def test_sam_logs_the_loss_that_labs_stepper_did(native: Any, tmp_path: Path, stepper: str) -> None:
    """That of the first phase, or of the last evaluation; they differ."""
    root = native.written(*SAM, "SAM.radius = 0.5", f"Trainer.stepper = @{stepper}()")
    legacy_lab.load_config(root / "blobs.gin", [f"Trainer.run_dir = '{tmp_path / 'lab'}'"])
    logged = legacy_lab.Trainer().train()["loss"]
    gin.clear_config()
    trainer = native.train()
    assert float(trainer.callback_metrics["loss"]) == logged


def test_what_labs_step_by_closure_takes_no_notice_of_is_said(native: Any) -> None:
    """Both settings go, and a finding tells of each."""
    conversion = native.converted(*LBFGS, "Torch.accumulate = 2", "Torch.clip_norm = 1e-3")
    said = [one.message for one in conversion.findings if "changed no bit" in one.message]
    assert [("accumulate" in one, "clip" in one) for one in said] == [(True, False), (False, True)]
    (config,) = [one.after for one in conversion.changes if one.path == "blobs/config.py"]
    assert "accumulate" not in config
    assert "clip" not in config


ACCUMULATED = {
    "a share": ("SGD.accumulate = 3",),
    "a share, clipping": ("SGD.accumulate = 3", "SGD.clip_norm = 0.05"),
    "a sum": ("SGD.accumulate = @Accumulation()", "Accumulation.every = 3", "Accumulation.form = 'sum'"),
    "a share of windows that would be dropped": (
        "SGD.accumulate = @Accumulation()", "Accumulation.every = 2", "Accumulation.leftover = 'drop'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("stepper", ["TwoPhase", "Closure"])
@pytest.mark.sampled
@pytest.mark.parametrize("name", ACCUMULATED)
def test_sam_comes_back_with_an_accumulated_loss_s_share(native: Any, name: str, stepper: str) -> None:
    """And climbs with the whole, a batch a step, as Lab does, from every checkpoint of both."""
    settings = (*SAM, "SAM.radius = 0.5", "SGD.momentum = 0.5", f"Trainer.stepper = @{stepper}()")
    whole = native.goes_on(*settings, *ACCUMULATED[name])
    labs = torch.load(sorted((native.folder / "lab").glob("*.lab"))[-1], weights_only=True)
    ended = {f"model.{name}": value for name, value in labs["model"].items()}
    assert_same_bits(ended, dict(whole.lightning_module.state_dict()))


CLIPPED: dict[str, tuple[str, ...]] = {
    "by Lab's formula": ("SGD.clip_norm = 0.05",),
    "by torch's": ("SGD.gradients = @Gradients()", "Gradients.clip = @ClipTorchNorm()", "ClipTorchNorm.limit = 0.05"),
    "by value": ("SGD.gradients = @Gradients()", "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.01"),
    "by block": ("SGD.gradients = @Gradients()", "Gradients.clip = @ClipPerBlock()", "ClipPerBlock.limit = 0.05"),
}


@pytest.mark.parametrize("stepper", ["TwoPhase", "Closure"])
@pytest.mark.sampled
@pytest.mark.parametrize("name", CLIPPED)
def test_sam_clips_in_its_second_phase(native: Any, name: str, stepper: str) -> None:
    """As Lab does, over every step, and from every checkpoint of both; without the clip the training is another."""
    settings = (*SAM, "SAM.radius = 0.5", "SGD.momentum = 0.5", f"Trainer.stepper = @{stepper}()")
    whole = native.goes_on(*settings, *CLIPPED[name])
    labs = torch.load(sorted((native.folder / "lab").glob("*.lab"))[-1], weights_only=True)
    ended = {f"model.{name}": value for name, value in labs["model"].items()}
    assert_same_bits(ended, dict(whole.lightning_module.state_dict()))
    unclipped = native.train(clip=1e9)
    with pytest.raises(AssertionError, match="tensors differ"):
        assert_same_bits(ended, dict(unclipped.lightning_module.state_dict()))
