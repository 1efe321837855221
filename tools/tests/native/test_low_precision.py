"""Level L3: weights of a lower precision, copies of them in fp32, and loss scales without autocast."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from .settings import COSINE, GRADIENTS, LABS_SCALE, LOOKAHEAD

HALF = (*GRADIENTS, "Trainer.precision = @HalfWeights()")
MASTERS = (*HALF, "Gradients.masters = True")
#: Overflows at first, and grows again.
MOVING = (
    "HalfWeights.dtype = 'float16'", "Gradients.scaler = @DynamicScaler()", "DynamicScaler.scale_by = 4194304.0",
    "DynamicScaler.factor = 4.0", "DynamicScaler.interval = 3", "Trainer.steps = 18",
)  # fmt: skip
PROJECTS: dict[str, tuple[str, ...]] = {
    "half weights": HALF,
    "half weights, gradients left as none, an average with buffers": (
        *HALF, "Gradients.left_as = 'none'", "Trainer.ema = @EMA()", "EMA.buffers = True",
    ),
    "fp32 copies, accumulation": (*MASTERS, "Adam.accumulate = 2"),
    "fp32 copies, clipping by torch's formula, gradients left as none": (
        *MASTERS, "Gradients.clip = @ClipTorchNorm()", "ClipTorchNorm.limit = 0.3", "Gradients.left_as = 'none'",
    ),
    "fp32 copies, a scale that moves, a schedule that waits, clipping by block, multipliers": (
        *MASTERS, *MOVING, *COSINE, "Gradients.clip = @ClipPerBlock()", "ClipPerBlock.limit = 0.1",
        "Adam.multipliers = {'*.bias': 2.0, 'blocks.0.*': 0.5, 'blocks.1.*': None}",
    ),
    "fp32 copies, a scale that moves, slow weights, an average": (
        *MASTERS, *MOVING, *LOOKAHEAD, "Lookahead.every = 2", "Trainer.ema = @EMA()",
    ),
    "fp32 copies around torch's, torch's scale, accumulation, a hook": (
        "Trainer.optimizer = @Torch", "Torch.settings = {'weight_decay': 0.1}", "Torch.accumulate = 2",
        "Torch.gradients = @Gradients()", *MASTERS[1:], "Gradients.scaler = @TorchScaler()",
        "TorchScaler.scale_by = 1e38", "Trainer.steps = 18", "Trainer.hooks = [@Shaken()]",
    ),
    "fp32 copies around torch's, slow weights, a fixed scale": (
        "Trainer.optimizer = @Lookahead", "Lookahead.inner = @Torch", "Lookahead.every = 2",
        "Torch.gradients = @Gradients()", *MASTERS[1:], "Gradients.scaler = @StaticScaler()",
    ),
    "bf16, the loss outside, a hook that runs the model": (
        "Trainer.precision = @Autocast()", "Autocast.loss_inside = False", "Trainer.hooks = [@Sampled()]",
        "Trainer.ema = @EMA()",
    ),
    "fp32 copies of fp32": (*GRADIENTS, "Gradients.masters = True"),
    "a scale that moves without autocast": (
        *LABS_SCALE[:1], *LABS_SCALE[3:], "DynamicScaler.scale_by = 1e39", *COSINE, "Trainer.steps = 18",
    ),
    "torch's scale, bf16, the loss outside": (
        *GRADIENTS, "Trainer.precision = @Autocast()", "Autocast.loss_inside = False",
        "Gradients.scaler = @TorchScaler()",
    ),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_native_training_in_low_precision_has_the_bits_of_labs(native: Any, name: str) -> None:
    """Every batch, loss, gradient, optimizer state and parameter, over nine steps."""
    native.identical(*PROJECTS[name])


@pytest.mark.skipif(torch.cuda.is_available(), reason="autocast of a GPU's operations is switched off without one")
@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize("loss_inside", [True, False])
def test_autocast_is_of_the_device_that_the_config_names(native: Any, loss_inside: bool) -> None:
    """Not of the training's: on a CPU, autocast of a GPU's operations casts nothing."""
    settings = ("Trainer.precision = @Autocast()", "Autocast.device = 'cuda'", f"Autocast.loss_inside = {loss_inside}")
    native.identical(*settings)


def test_autocast_of_a_cpu_stays_one_on_a_gpu(native: Any) -> None:
    """That is what Lab has by default: nothing is cast there, however the training runs."""
    conversion = native.converted("Trainer.device = 'cuda'", "Trainer.precision = @Autocast()")
    (module,) = [one.after for one in conversion.changes if one.path == "blobs/module.py"]
    assert 'torch.autocast("cpu", torch.bfloat16' in module


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_native_training_in_low_precision_goes_on(native: Any, name: str) -> None:
    """From every checkpoint of its own and of Lab's."""
    native.goes_on(*PROJECTS[name])
