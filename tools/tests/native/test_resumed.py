"""Level L3: a native run goes on from its own checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lab_parity.testing import assert_same_bits

from .settings import COSINE, FP16, GAN, LABS_SCALE, LBFGS, LOOKAHEAD, SAM
from .states import state_of

RESUMED: dict[str, tuple[str, ...]] = {
    "fp16 by Lab's scale": (*LABS_SCALE, *COSINE),
    "SAM in two phases": (*SAM, "Trainer.stepper = @TwoPhase()", "SGD.momentum = 0.5"),
    "LBFGS": LBFGS,
    "slow weights": (*LOOKAHEAD, "Lookahead.every = 2", *COSINE, "Adam.accumulate = 2"),
    "slow weights, and a scale that skips updates": (*LOOKAHEAD, "Lookahead.every = 2", *LABS_SCALE),
    "nothing evaluated, two batches a step": ("Trainer.eval_every = 0", "Adam.accumulate = 2"),
    "one batch a step": (*COSINE,),
    "two batches a step": (*COSINE, "Adam.accumulate = 2"),
    "fp16": (*COSINE, *FP16, "TorchScaler.scale_by = 65536.0", "TorchScaler.interval = 2"),
    "a generator and its critic": (
        *GAN, "Adversarial.critic_steps = 2", "Adversarial.penalty = 2.0", "Adversarial.penalty_every = 3",
        "generator/SGD.schedule = @WarmupCosine()", "WarmupCosine.lr = 0.1", "WarmupCosine.total = 9",
    ),
    "an objective with a state, a loader of the project's own": (
        "Trainer.loader = @DrawnBatches", "DrawnBatches.dataset = @Specks()", "Trainer.objective = @Drift()",
    ),
}  # fmt: skip


#: Resumed also behind a step that no evaluation follows.
BETWEEN = ("one batch a step", "two batches a step", "a generator and its critic")


@pytest.mark.sampled
@pytest.mark.parametrize(("name", "at"), [*((name, 4) for name in RESUMED), *((name, 5) for name in BETWEEN)])
def test_a_native_run_resumes_in_the_middle_of_a_pass(native: Any, tmp_path: Path, name: str, at: int) -> None:
    """From its own checkpoint, also of a step that was evaluated after, it ends with the bits of the whole run."""
    settings = (f"Trainer.checkpoint_every = {at}", "Trainer.ema = @EMA()", "Trainer.eval_batches = 1")
    native.written(*settings, *RESUMED[name])
    whole = native.train()
    ended = state_of(whole)
    written = sorted((tmp_path / "run").glob("*.ckpt"))
    resumed = native.train(resume=str(written[0]))
    assert resumed.global_step == whole.global_step == 9
    assert_same_bits(ended, state_of(resumed))
    again = [path for path in (tmp_path / "run").glob("*.ckpt") if path not in written]
    steps = [torch.load(path, weights_only=True)["global_step"] for path in again]
    assert at not in steps, "the resumed run wrote one inside of its first step"


def test_stop_on_nan_looks_at_the_last_batch_of_a_step_also_behind_a_resume(native: Any, tmp_path: Path) -> None:
    """As Lab's hook does, which is told of a step's last loss only."""
    settings = ("Trainer.objective = @Blinking()", "Trainer.hooks = [@StopOnNaN()]", "Adam.accumulate = 2")
    native.written(*settings, "Trainer.checkpoint_every = 5")
    assert native.train().global_step == 9
    assert native.train(resume=str(next((tmp_path / "run").glob("*.ckpt")))).global_step == 9


KEPT: dict[str, tuple[str, ...]] = {
    "passes that are evaluated at their end": ("Trainer.steps = 14", "Trainer.eval_every = 7"),
    "passes that end between evaluations, two batches a step": (
        "Trainer.steps = 14", "Trainer.eval_every = 4", "train/Loader.batch_size = 2", "Adam.accumulate = 3",
    ),
    "one pass of all, a last step that is evaluated": ("Trainer.steps = 12", "Adam.accumulate = 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_the_newest_checkpoints_stay_also_of_a_passs_last_step(native: Any, tmp_path: Path, name: str) -> None:
    """Lightning puts off what it monitors behind a pass's last batch; they were not written."""
    keep = ("Trainer.hooks = [@Keep()]", "Keep.last = 20", "Keep.best = 'eval/loss'", "Trainer.checkpoint_every = 1")
    native.written(*keep, *KEPT[name])
    whole = native.train()
    ended = state_of(whole)
    steps = int(KEPT[name][0].rpartition(" ")[2])
    files = sorted((tmp_path / "run").glob("step=*.ckpt"))
    assert [int(path.stem.partition("=")[2]) for path in files] == [*range(1, steps + 1)]
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["global_step"] == steps
    for path in files[5:7]:
        assert_same_bits(ended, state_of(native.train(resume=str(path))))
