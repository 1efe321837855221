"""A checkpoint of Lab's, converted, is one that the native training resumes from, bitwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gin
import pytest
import torch
from typer.testing import CliRunner

import legacy_lab
from lab_migrate.cli import app
from lab_migrate.errors import UsageError
from lab_migrate.native.checkpoint import convert_to_native
from lab_parity.testing import assert_same_bits

from .settings import COSINE, FP16, GAN, GRADIENTS, LABS_SCALE, LBFGS, SAM
from .states import state_of, trained

PINNED = "Model.blocks = [@wide/Linear(), @Pinned(), @Norm(), @Activation(), @head/Linear()]"
PROJECTS: dict[str, tuple[str, ...]] = {
    "an average, an evaluation that goes on": (
        "Trainer.ema = @EMA()", "EMA.buffers = True", "Trainer.eval_batches = 1", "Trainer.eval_every = 2",
    ),
    "a schedule, multipliers, windows over the ends of epochs": (
        *COSINE, "Adam.multipliers = {'*.bias': 2.0, 'blocks.0.*': 0.5}", "Adam.accumulate = 3",
    ),
    "torch's optimizer, the last batch smaller": (
        "Trainer.optimizer = @Torch", "Torch.settings = {'weight_decay': 0.1}", "train/Loader.drop_last = False",
        "Torch.multipliers = {'*.bias': 2.0}", "Torch.schedule = @Ramp()", "Ramp.of = 'lr'", "Ramp.start = 0.02",
        "Ramp.end = 0.001", "Ramp.steps = 6",
    ),
    "fp16 with a scale that moves, multipliers of the decay": (
        *FP16, "TorchScaler.scale_by = 65536.0", "TorchScaler.interval = 2", *COSINE,
        "Adam.decay_multipliers = {'blocks.4.*': 0.0}", "Adam.multipliers = {'*.bias': 2.0}",
    ),
    "an optimizer and a schedule of the project's own": (
        "Trainer.optimizer = @SignSteps", "SignSteps.schedule = @Halving()", "Halving.lr = 0.02",
    ),
    "an optimizer that asks settings of its own, and how many updates there were": (
        "Trainer.optimizer = @Heated", "Heated.multipliers = {'*.bias': 2.0}",
    ),
    "a generator and its critic": (
        *GAN, "Adversarial.critic_steps = 2", "Adversarial.penalty = 2.0", "Adversarial.penalty_every = 3",
        "Trainer.ema = @EMA()", "generator/SGD.schedule = @WarmupCosine()", "WarmupCosine.lr = 0.1",
        "WarmupCosine.total = 9",
    ),
    "a generator and its critic, a batch each": (*GAN, "critic/Adam.multipliers = {'*.bias': 2.0}"),
    "LBFGS": LBFGS,
    "SAM, a parameter that is not trained": (PINNED, *SAM, "Trainer.stepper = @TwoPhase()", "SGD.momentum = 0.5"),
    "LBFGS, a parameter that is not trained": (PINNED, *LBFGS),
    "fp32 copies, a parameter that is not trained": (PINNED, *GRADIENTS, "Gradients.masters = True"),
    "fp16 by Lab's scale": (*LABS_SCALE, *COSINE),
    "SAM in two phases": (*SAM, "Trainer.stepper = @TwoPhase()", "SGD.momentum = 0.5", "Trainer.ema = @EMA()"),
    "SAM by closure, around Adam, a schedule, multipliers": (
        "Trainer.optimizer = @SAM", "SAM.inner = @Adam", "SAM.radius = 0.1", "Trainer.stepper = @Closure()", *COSINE,
        "Adam.multipliers = {'*.bias': 2.0, 'blocks.0.*': None}",
    ),
    "SAM around torch's": (
        "Trainer.optimizer = @SAM", "SAM.inner = @Torch", "Trainer.stepper = @TwoPhase()",
        "Torch.settings = {'weight_decay': 0.1}",
    ),
    "slow weights": ("Trainer.optimizer = @Lookahead", "Lookahead.inner = @Adam", "Lookahead.every = 2", *COSINE),
    "slow weights, and a scale that skips updates": (
        *LABS_SCALE, "Trainer.optimizer = @Lookahead", "Lookahead.inner = @Adam", "Lookahead.every = 2",
    ),
    "a loader of the project's own, an objective with a state": (
        "Trainer.loader = @DrawnBatches", "DrawnBatches.dataset = @Specks()", "Trainer.objective = @Drift()",
        "Trainer.optimizer = @RAdam",
    ),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_native_run_goes_on_from_labs_checkpoint(native: Any, tmp_path: Path, name: str) -> None:
    """From any step, also at an epoch's end and where an evaluation follows, to the end of the whole native run."""
    root = native.written(*PROJECTS[name])
    ended = native.train()
    whole = state_of(ended)
    for path in native.some(trained(root, tmp_path / "lab")[:8]):
        target = tmp_path / f"{path.stem}.ckpt"
        step = convert_to_native(path, target, root)
        resumed = native.train(resume=str(target))
        assert resumed.global_step == 9
        assert_same_bits(whole, state_of(resumed))
        counted = [trainer.fit_loop.epoch_loop._batches_that_stepped for trainer in (ended, resumed)]
        assert counted[0] == counted[1], f"loggers count otherwise after step {step}"


def test_a_wrong_twin_is_seen(native: Any, tmp_path: Path) -> None:
    """A checkpoint of the step before does not end in the same state: the comparison above can fail."""
    root = native.written(*COSINE)
    whole = state_of(native.train())
    path = trained(root, tmp_path / "lab")[3]
    convert_to_native(path, tmp_path / "x.ckpt", root)
    made = torch.load(tmp_path / "x.ckpt", weights_only=True)
    made["lr_schedulers"][0]["last_epoch"] -= 1
    torch.save(made, tmp_path / "x.ckpt")
    with pytest.raises(AssertionError):
        assert_same_bits(whole, state_of(native.train(resume=str(tmp_path / "x.ckpt"))))


def test_a_checkpoint_inside_a_step_is_refused(native: Any, tmp_path: Path) -> None:
    """Lightning's checkpoints hold no gradients that wait for the rest of their window."""
    root = native.project("Adam.accumulate = 3")
    legacy_lab.load_config(root / "blobs.gin", [f"Trainer.run_dir = '{tmp_path / 'lab'}'"])
    trainer = legacy_lab.Trainer()
    trainer.before_train()
    trainer.mid_step = True
    trainer.optimizer.step(trainer.compute(trainer.loader.next_batch())[0])
    trainer.save(tmp_path / "inside.lab")
    gin.clear_config()
    with pytest.raises(UsageError, match="in the middle of a window"):
        convert_to_native(tmp_path / "inside.lab", tmp_path / "x.ckpt", root)
    assert not (tmp_path / "x.ckpt").exists()


def test_a_training_without_a_native_form_is_refused(native: Any, tmp_path: Path) -> None:
    """The finding says which setting stands in the way."""
    clip = ("Adam.gradients = @Gradients()", "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.1")
    root = native.project(*clip, "ClipValue.reach = 'model'", "Trainer.steps = 1")
    (path,) = trained(root, tmp_path / "lab")
    with pytest.raises(UsageError, match=r"LM402.*whole model"):
        convert_to_native(path, tmp_path / "x.ckpt", root)


def test_the_command_says_what_it_wrote(native: Any, tmp_path: Path) -> None:
    """`checkpoint convert A B --native PROJECT`; an existing file is not replaced."""
    root = native.project("Trainer.steps = 2")
    path = trained(root, tmp_path / "lab")[-1]
    words = ["checkpoint", "convert", str(path), str(tmp_path / "x.ckpt"), "--native", str(root)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "after step 2" in " ".join(done.output.split())
    assert isinstance(CliRunner().invoke(app, words).exception, UsageError)
