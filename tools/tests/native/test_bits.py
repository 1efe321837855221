"""Level L3: one loss and one optimizer; what is written trains the bits of Lab."""

from __future__ import annotations

from typing import Any

import pytest

from .settings import ACCUMULATE, COSINE, FP16, GRADIENTS, LABS_SCALE, LOOKAHEAD

PINNED = "Model.blocks = [@wide/Linear(), @Pinned(), @Norm(), @Activation(), @head/Linear()]"
DIGITS = (
    "Trainer.objective = @Classifier()",
    "test/Digits.split = 'test'",
    "Model.input_shape = (1, 8, 8)",
    "Model.blocks = [@Reshape(), @head/Linear()]",
    "Reshape.shape = (-1,)",
    "head/Linear.features = 10",
)
PROJECTS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "fp16 by Lab's scale that moves, a schedule that waits": (*LABS_SCALE, *COSINE, "Trainer.steps = 18"),
    "fp16 by Lab's scale that moves, accumulation, clipping": (
        *LABS_SCALE,
        "Adam.accumulate = 2",
        "Gradients.clip = @ClipNorm()",
        "ClipNorm.limit = 0.3",
        "Trainer.steps = 18",
    ),
    "fp16 by Lab's fixed scale, no power of two": (
        *FP16[:-1],
        "Gradients.scaler = @StaticScaler()",
        "StaticScaler.scale_by = 1000.0",
    ),
    "a loader of the project's own": ("Trainer.loader = @DrawnBatches", "DrawnBatches.dataset = @Specks()"),
    "Lab's data, which another loader of Lab's asks for batches": (
        *DIGITS,
        "Trainer.loader = @Epochs",
        "Epochs.batches = @torch_loader()",
        "torch_loader.dataset = @Digits()",
        "torch_loader.batch_size = 100",
        "test/Loader.dataset = @test/Digits()",
        "test/Loader.batch_size = 100",
    ),
    "Lab's data, prefetched": (
        *DIGITS,
        "Trainer.loader = @Prefetch",
        "Prefetch.loader = @train/Loader()",
        "train/Loader.dataset = @Digits()",
        "test/Loader.dataset = @test/Digits()",
    ),
    "the last batch smaller": ("train/Loader.drop_last = False", "test/Loader.drop_last = False"),
    "evaluation goes on where it stopped": ("Trainer.eval_batches = 1", "Trainer.eval_every = 2"),
    "no evaluation": ("Trainer.eval_every = 0",),
    "data that draw when they are made": (
        "train/Loader.dataset = @JitteredSpecks()",
        "test/Loader.dataset = @test/JitteredSpecks()",
    ),
    "no evaluation, of data that draw when they are made": (
        "Trainer.eval_every = 0",
        "test/Loader.dataset = @JitteredSpecks()",
    ),
    "an objective of the project's own": ("Trainer.objective = @Margin()", "Margin.margin = 0.5"),
    "accumulation over the ends of epochs": (ACCUMULATE, "Adam.clip_norm = 0.5"),
    "clipping by torch's formula": (*GRADIENTS, "Gradients.clip = @ClipTorchNorm()", "ClipTorchNorm.limit = 0.3"),
    "clipping by value": (*GRADIENTS, "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.01"),
    "adaptive clipping": (*GRADIENTS, "Gradients.clip = @ClipAdaptive()", "ClipAdaptive.limit = 0.01"),
    "gradients left as none": (*GRADIENTS, "Gradients.left_as = 'none'"),
    "a schedule and multipliers": (*COSINE, "Adam.multipliers = {'*.bias': 2.0, 'blocks.0.*': 0.5}"),
    "a moving decay": (
        "Adam.schedule = @Ramp()",
        "Ramp.of = 'decay'",
        "Ramp.start = 0.1",
        "Ramp.end = 0.5",
        "Ramp.steps = 4",
    ),
    "an average with buffers": ("Trainer.ema = @EMA()", "EMA.buffers = True", "Trainer.eval_every = 2"),
    "an average and accumulation": ("Trainer.ema = @EMA()", ACCUMULATE, "Trainer.hooks = [@StopOnNaN()]"),
    "bf16, the loss inside": ("Trainer.precision = @Autocast()",),
    "bf16, the loss outside": ("Trainer.precision = @Autocast()", "Autocast.loss_inside = False"),
    "slow weights that follow": LOOKAHEAD,
    "slow weights, multipliers that leave some out, accumulation, an average, a hook": (
        *LOOKAHEAD,
        ACCUMULATE,
        "Lookahead.every = 2",
        "Lookahead.alpha = 0.3",
        "Trainer.ema = @EMA()",
        "Adam.multipliers = {'blocks.0.*': None, '*.bias': 2.0}",
        "Trainer.hooks = [@Shaken()]",
    ),
    "slow weights, and a scale that skips updates": (*LOOKAHEAD, *LABS_SCALE, "Trainer.steps = 18"),
    "slow weights, torch's scale, accumulation": (
        *LOOKAHEAD,
        *FP16,
        ACCUMULATE,
        "Lookahead.every = 2",
        "TorchScaler.scale_by = 4194304.0",
        "Trainer.steps = 18",
    ),
    "slow weights around torch's": (
        "Trainer.optimizer = @Lookahead",
        "Lookahead.inner = @Torch",
        "Torch.name = 'RMSprop'",
        "Torch.lr = 1e-3",
    ),
    "SGD": ("Trainer.optimizer = @SGD", "SGD.momentum = 0.5"),
    "LAMB": ("Trainer.optimizer = @LAMB",),
    "RAdam": ("Trainer.optimizer = @RAdam", "Trainer.steps = 12"),
    "an optimizer and a schedule of the project's own": (
        "Trainer.optimizer = @SignSteps",
        "SignSteps.schedule = @Halving()",
        "Halving.lr = 0.02",
        "SignSteps.clip_norm = 0.5",
    ),
    "an optimizer that asks settings of its own, and how many updates there were": (
        "Trainer.optimizer = @Heated",
        "Heated.accumulate = 2",
        "Heated.clip_norm = 0.5",
        "Heated.multipliers = {'*.bias': 2.0}",
        "Heated.power = 0.7",
    ),
    "clipping by block": (
        *GRADIENTS,
        "Gradients.clip = @ClipPerBlock()",
        "ClipPerBlock.limit = 0.1",
        "Adam.multipliers = {'*.bias': 2.0, 'blocks.4.map.weight': None}",
    ),
    "multipliers of the decay, which a schedule moves": (
        "Adam.decay_multipliers = {'blocks.4.*': 0.0}",
        "Adam.schedule = @Ramp()",
        "Ramp.of = 'decay'",
        "Ramp.start = 0.1",
        "Ramp.end = 0.5",
        "Ramp.steps = 4",
    ),
    "multipliers of both": (
        "Adam.decay_multipliers = {'blocks.4.*': 0.0}",
        "Adam.multipliers = {'*.bias': 2.0}",
    ),
    "a weight that a hook moves": (
        "Trainer.hooks = [@Anneal(), @StopOnNaN()]",
        "Anneal.of = 'smoothing'",
        "Anneal.schedule = @Ramp()",
        "Ramp.of = 'weight'",
        "Ramp.start = 0.1",
        "Ramp.end = 0.4",
        "Ramp.steps = 6",
        ACCUMULATE,
    ),
    "fp16 with a scale that moves, and a schedule": (
        *FP16,
        "TorchScaler.scale_by = 4194304.0",
        "Trainer.steps = 19",
        "TorchScaler.interval = 3",
        *COSINE,
    ),
    "fp16, each weight cast once only where asked": (*FP16, "Autocast.cache = False", "TorchScaler.scale_by = 1024.0"),
    "best and last": (
        "Trainer.hooks = [@Keep()]",
        "Keep.last = 2",
        "Keep.best = 'eval/loss'",
        "Trainer.checkpoint_every = 2",
    ),
    "a parameter that is not trained": (PINNED,),
    "a parameter that is not trained, by torch's AdamW": (
        PINNED,
        "Trainer.optimizer = @Torch",
        "Torch.settings = {'weight_decay': 0.1}",
    ),
    "a parameter that is not trained, slow weights, copies in fp32": (
        PINNED,
        *LOOKAHEAD,
        *GRADIENTS,
        "Gradients.masters = True",
    ),
    "spectral norm": ("Trainer.model = @spectral", "spectral.model = @Model"),
    "torch's AdamW": ("Trainer.optimizer = @Torch", "Torch.settings = {'weight_decay': 0.1}"),
}


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_the_native_training_has_the_bits_of_labs(native: Any, name: str) -> None:
    """Every batch, loss, gradient, optimizer state and parameter, over nine steps and an epoch's end."""
    native.identical(*PROJECTS[name])
