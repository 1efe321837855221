"""Level L3: a generator and its critic, under manual optimization."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab_migrate.native.checkpoint import convert_to_native
from lab_parity.testing import assert_same_bits

from .settings import GAN
from .test_checkpoint import state_of, trained
from .test_own_hooks import hooks_of

CLIPS = ("critic/Adam.gradients = @c/Gradients()", "generator/SGD.gradients = @g/Gradients()")
ADVERSARIAL: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "three updates of the critic": ("Adversarial.critic_steps = 3", "Trainer.ema = @EMA()"),
    "a parameter that no loss reaches": (
        "critic/Model.blocks = [@hidden/Linear(), @Scale(), @Activation(), @logit/Linear()]",
    ),
    "one forward pass": ("Adversarial.sharing = 'forward'", "Trainer.hooks = [@StopOnNaN()]"),
    "one graph": ("Adversarial.sharing = 'graph'",),
    "one graph, two updates of the critic": ("Adversarial.sharing = 'graph'", "Adversarial.critic_steps = 2"),
    "the critic starts late": ("Adversarial.start = 3",),
    "one graph, the critic starts late": ("Adversarial.sharing = 'graph'", "Adversarial.start = 3"),
    "a penalty": ("Adversarial.penalty = 2.0",),
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
    "a hook that moves the objective of evaluations that there are not": (
        "Trainer.hooks = [@Nudged()]", "Trainer.eval_every = 0",
    ),
}  # fmt: skip


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
    "an objective with a state": ("Trainer.objective = @Counted()", "Trainer.hooks = [@Sharpened()]"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.parametrize("name", RESUMED)
def test_a_native_adversarial_run_resumes_from_every_checkpoint(native: Any, tmp_path: Path, name: str) -> None:
    """From each of its own and each of Lab's, with evaluations between, it ends with the bits of the whole run."""
    root = native.written(*GAN, "Trainer.eval_every = 3", "Trainer.checkpoint_every = 1", *RESUMED[name])
    trainer = native.train()
    whole = {**state_of(trainer), "hooks": hooks_of(trainer), "said": told(trainer)}
    own = sorted((tmp_path / "run").glob("*.ckpt"))
    labs = [tmp_path / f"{path.stem}.ckpt" for path in trained(root, tmp_path / "lab")]
    assert len(own) == len(labs) == 9
    for source, target in zip(sorted((tmp_path / "lab").glob("step_*.lab")), labs, strict=True):
        convert_to_native(source, target, root)
    for path in [*own[:8], *labs[:8]]:
        resumed = native.train(resume=str(path))
        assert_same_bits(whole, {**state_of(resumed), "hooks": hooks_of(resumed), "said": told(resumed)})


def told(trainer: Any) -> dict[str, float]:
    """What the last evaluation found."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("eval/")}
