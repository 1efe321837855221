"""Level L3: a generator and its critic, under manual optimization."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from .settings import GAN
from .states import trained

#: Scales that overflow at first, and grow again.
SCALES = (
    "critic/Adam.gradients = @c/Gradients()", "generator/SGD.gradients = @g/Gradients()",
    "c/Gradients.scaler = @TorchScaler()", "TorchScaler.scale_by = 3e38", "TorchScaler.interval = 3",
    "TorchScaler.backoff = 0.25", "TorchScaler.growth = 3.0", "critic/Adam.lr = 0.3",
    "g/Gradients.scaler = @DynamicScaler()", "DynamicScaler.scale_by = 1e40",
    "DynamicScaler.factor = 1e3", "DynamicScaler.interval = 4", "Trainer.steps = 18",
)  # fmt: skip
CLIPS = ("critic/Adam.gradients = @c/Gradients()", "generator/SGD.gradients = @g/Gradients()")
PINNED = (
    "critic/Model.blocks = [@hidden/Linear(), @Pinned(), @Activation(), @logit/Linear()]", "critic/Adam.decay = 0.1",
)  # fmt: skip
ADVERSARIAL: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "three updates of the critic": ("Adversarial.critic_steps = 3", "Trainer.ema = @EMA()"),
    "a parameter that no loss reaches": (
        "critic/Model.blocks = [@hidden/Linear(), @Scale(), @Activation(), @logit/Linear()]",
    ),
    "a parameter that is not trained": PINNED,
    "one forward pass": ("Adversarial.sharing = 'forward'", "Trainer.hooks = [@StopOnNaN()]"),
    "one graph": ("Adversarial.sharing = 'graph'",),
    "one graph, two updates of the critic": ("Adversarial.sharing = 'graph'", "Adversarial.critic_steps = 2"),
    "the critic starts late": ("Adversarial.start = 3",),
    "one graph, the critic starts late": ("Adversarial.sharing = 'graph'", "Adversarial.start = 3"),
    "a penalty, reparametrized": (
        "Adversarial.penalty = 2.0", "Adversaries.critic = @spectral", "spectral.model = @critic/Model",
        "Adversaries.generator = @equalised", "equalised.model = @generator/Model",
    ),
    "a penalty now and then": ("Adversarial.penalty = 2.0", "Adversarial.penalty_every = 3"),
    "clipping and a schedule for each": (
        "critic/Adam.clip_norm = 0.3", "critic/Adam.schedule = @Ramp()", "Ramp.of = 'lr'", "Ramp.start = 0.02",
        "Ramp.end = 0.001", "Ramp.steps = 6", "generator/SGD.schedule = @WarmupCosine()", "WarmupCosine.lr = 0.1",
        "WarmupCosine.total = 9", "generator/SGD.gradients = @g/Gradients()", "g/Gradients.clip = @ClipTorchNorm()",
        "ClipTorchNorm.limit = 0.2", "g/Gradients.left_as = 'none'", "critic/Adam.multipliers = {'*.bias': 2.0}",
    ),
    "a schedule for one, clipping by block": (
        "generator/SGD.schedule = @WarmupCosine()", "WarmupCosine.lr = 0.1", "WarmupCosine.total = 9",
        "critic/Adam.gradients = @c/Gradients()", "c/Gradients.clip = @ClipPerBlock()", "ClipPerBlock.limit = 0.1",
    ),
    "ways of clipping of the project's own": (
        *CLIPS, "c/Gradients.clip = @Slow()", "Slow.limit = 0.8", "g/Gradients.clip = @Soft()", "Soft.limit = 0.01",
    ),
    "both clip by the same of the project's own": (
        *CLIPS, "c/Gradients.clip = @Slow()", "Slow.limit = 0.8", "g/Gradients.clip = @Slow()",
    ),
    "hooks of the project's own": (
        "Trainer.hooks = [@Shaken(), @Balanced(), @StopOnNaN(), @Bounded(), @Sharpened()]", "Trainer.ema = @EMA()",
    ),
    "hooks, two updates of the critic, which starts late": (
        "Trainer.hooks = [@Damped(), @Balanced(), @Bounded(), @Shaken()]", "Adversarial.critic_steps = 2",
        "Adversarial.start = 3", "Adversarial.sharing = 'graph'",
    ),
    "scales that move, schedules that wait, clipping, a penalty now and then": (
        *SCALES, "critic/Adam.clip_norm = 0.3", "Adversarial.penalty = 2.0", "Adversarial.penalty_every = 3",
        "critic/Adam.schedule = @Ramp()", "Ramp.of = 'lr'", "Ramp.start = 0.02", "Ramp.end = 0.001", "Ramp.steps = 6",
        "generator/SGD.schedule = @WarmupCosine()", "WarmupCosine.lr = 0.1", "WarmupCosine.total = 9",
    ),
    "scales that move, a penalty of nothing now and then": (*SCALES, "Adversarial.penalty_every = 3"),
    "scales that move, one graph, an average, a hook": (
        *SCALES, "Adversarial.sharing = 'graph'", "Trainer.ema = @EMA()", "Trainer.hooks = [@Balanced()]",
    ),
    "a fixed scale of the critic's alone": (
        "critic/Adam.gradients = @c/Gradients()", "c/Gradients.scaler = @StaticScaler()",
        "StaticScaler.scale_by = 1000.0", "Adversarial.critic_steps = 2",
    ),
    "a fixed scale of the generator's alone": (
        "generator/SGD.gradients = @g/Gradients()", "g/Gradients.scaler = @StaticScaler()",
        "StaticScaler.scale_by = 1000.0", "Adversarial.start = 2",
    ),
    "a hook that moves the objective of evaluations that there are not": (
        "Trainer.hooks = [@Nudged()]", "Trainer.eval_every = 0",
    ),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_a_native_adversarial_training_has_the_bits_of_labs(native: Any, name: str) -> None:
    """Two optimizers under manual optimization: every update of both, over nine steps."""
    native.identical(*GAN, *ADVERSARIAL[name])


RESUMED: dict[str, tuple[str, ...]] = {
    "hooks, an average, clipping": (
        "Trainer.hooks = [@Shaken(), @Balanced(), @Sharpened()]", "Trainer.ema = @EMA()",
        *CLIPS, "c/Gradients.clip = @Soft()", "Soft.limit = 0.01",
    ),
    "hooks, two updates of the critic": ("Trainer.hooks = [@Shaken(), @Balanced()]", "Adversarial.critic_steps = 2"),
    "scales that move, a penalty now and then": (
        *SCALES, "Adversarial.penalty = 2.0", "Adversarial.penalty_every = 3", "critic/Adam.schedule = @Ramp()",
        "Ramp.of = 'lr'", "Ramp.start = 0.02", "Ramp.end = 0.001", "Ramp.steps = 6",
    ),
    "a parameter that is not trained": PINNED,
    "an objective with a state": ("Trainer.objective = @Counted()", "Trainer.hooks = [@Sharpened()]"),
}  # fmt: skip


@pytest.mark.parametrize("name", RESUMED)
def test_a_native_adversarial_run_resumes_from_every_checkpoint(native: Any, name: str) -> None:
    """From each of its own and each of Lab's it ends with the bits of the whole run."""
    native.goes_on(*GAN, *RESUMED[name])


def test_a_hook_ends_an_adversarial_training_where_it_did(native: Any, tmp_path: Path) -> None:
    """After its step's evaluation; the generators stand where Lab's do."""
    settings = ("Trainer.hooks = [@Sharpened()]", "Trainer.eval_every = 3", "Sharpened.evaluations = 2")
    root = native.written(*GAN, *settings, "Trainer.steps = 30", "Adversarial.critic_steps = 2")
    assert native.train().global_step == 6
    drawn = torch.get_rng_state()
    whole = trained(root, tmp_path / "lab")
    assert len(whole) == 6
    assert torch.equal(drawn, torch.load(whole[-1], weights_only=True)["rng"]["torch"])
