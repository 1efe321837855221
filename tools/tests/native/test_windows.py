"""Level L3: steps that take their losses by hand, since Lightning would make updates of others."""

from __future__ import annotations

from typing import Any

import gin
import pytest

import legacy_lab

from .settings import COSINE, FP16, GAN, GRADIENTS, LABS_SCALE, LOOKAHEAD

#: Seven batches a pass.
WINDOWS = ("Adam.accumulate = @Accumulation()", "Accumulation.every = 3")
DROPPED = (*WINDOWS, "Accumulation.leftover = 'drop'")
PASSED_OVER = (
    "Trainer.stepper = @Plain()", "Plain.skip_nan = True", "Trainer.objective = @Faltering()", "Faltering.times = 2",
)  # fmt: skip
ROUNDS = ("Trainer.loader = @Rounds", "Rounds.dataset = @Specks()")
PROJECTS: dict[str, tuple[str, ...]] = {
    "dropped": DROPPED,
    "dropped, the last batch smaller, nothing evaluated": (
        *DROPPED, "train/Loader.drop_last = False", "Accumulation.every = 5", "Trainer.eval_every = 0",
    ),
    "dropped, a schedule, clipping by block, an average, hooks, multipliers": (
        *DROPPED, *COSINE, *GRADIENTS, "Gradients.clip = @ClipPerBlock()", "ClipPerBlock.limit = 0.1",
        "Trainer.ema = @EMA()", "EMA.buffers = True", "Trainer.hooks = [@Shaken(), @Bounded(), @Balanced()]",
        "Adam.multipliers = {'*.bias': 2.0, 'blocks.0.*': None}",
    ),
    "dropped, slow weights, a clip of the project's own, bf16": (
        *DROPPED, *LOOKAHEAD, "Lookahead.every = 2", *GRADIENTS, "Gradients.clip = @Soft()", "Soft.limit = 0.05",
        "Trainer.precision = @Autocast()",
    ),
    "dropped, an objective with a state, clipping by torch's formula, gradients left as none": (
        *DROPPED, "Trainer.objective = @Drift()", *GRADIENTS, "Gradients.clip = @ClipTorchNorm()",
        "ClipTorchNorm.limit = 0.3", "Gradients.left_as = 'none'",
    ),
    "dropped, of a loader of the project's own, weights of a lower precision": (
        *DROPPED, *ROUNDS, *GRADIENTS, "Trainer.precision = @HalfWeights()",
    ),
    "dropped, a parameter that no loss reaches, another that is not trained, a weight that a hook moves": (
        *DROPPED, "Model.blocks = [@wide/Linear(), @Pinned(), @Scale(), @Norm(), @head/Linear()]",
        "Trainer.hooks = [@Anneal(), @StopOnNaN()]", "Anneal.of = 'smoothing'", "Anneal.schedule = @Ramp()",
        "Ramp.of = 'weight'", "Ramp.start = 0.1", "Ramp.end = 0.4", "Ramp.steps = 6",
    ),
    "an update by what is left over": (*WINDOWS, "Accumulation.leftover = 'step'", *COSINE),
    "an update by the mean of what is left over": (*WINDOWS, "Accumulation.leftover = 'count'", "Adam.clip_norm = 0.5"),
    "gradients divided by what was taken": (
        *WINDOWS, "Accumulation.leftover = 'count'", "Accumulation.form = 'grads'", "Adam.clip_norm = 0.5",
    ),
    "gradients divided": (*WINDOWS, "Accumulation.form = 'grads'", "Trainer.optimizer = @Adam"),
    "gradients summed": (*WINDOWS, "Accumulation.form = 'sum'", "Adam.clip_norm = 0.5"),
    "gradients summed, dropped, torch's optimizer": (
        "Trainer.optimizer = @Torch", "Torch.settings = {'weight_decay': 0.1}", "Torch.accumulate = @Accumulation()",
        "Accumulation.every = 4", "Accumulation.form = 'sum'", "Accumulation.leftover = 'drop'",
    ),
    "passed over": (*PASSED_OVER, *COSINE),
    "passed over, clipping by value, an average of the project's own, a hook that draws": (
        *PASSED_OVER, *GRADIENTS, "Gradients.clip = @ClipValue()", "ClipValue.limit = 0.01",
        "Trainer.ema = @Powered()", "Trainer.hooks = [@Shaken()]",
    ),
    "passed over, of two losses each": (*PASSED_OVER, "Adam.accumulate = 2"),
    "passed over, dropped": (*PASSED_OVER, *DROPPED),
    "passed over, also where an update is by what is left over": (
        *PASSED_OVER, *ROUNDS, *WINDOWS, "Accumulation.leftover = 'count'",
    ),
    "dropped, a scale that moves, a schedule that waits, clipping, slow weights": (
        *DROPPED, *LOOKAHEAD, *LABS_SCALE, *COSINE, "Lookahead.every = 2", "Gradients.clip = @ClipNorm()",
        "ClipNorm.limit = 0.3", "Trainer.steps = 18",
    ),
    "an update by the mean of what is left over, torch's scale, an average": (
        *WINDOWS, "Accumulation.leftover = 'count'", *FP16, "TorchScaler.scale_by = 4194304.0",
        "TorchScaler.interval = 3",
        "Trainer.ema = @EMA()", "Gradients.clip = @ClipTorchNorm()", "ClipTorchNorm.limit = 0.3", "Trainer.steps = 18",
    ),
    "gradients divided, a fixed scale without autocast, an objective with a state": (
        *WINDOWS, "Accumulation.form = 'grads'", *GRADIENTS, "Gradients.scaler = @StaticScaler()",
        "StaticScaler.scale_by = 1000.0", "Trainer.objective = @Drift()",
    ),
    "passed over, torch's scale, each weight cast once only where asked": (
        *PASSED_OVER, *FP16, "Autocast.cache = False", "TorchScaler.scale_by = 4194304.0", "TorchScaler.interval = 3",
        *COSINE, "Trainer.steps = 18",
    ),
    "one loss each, whatever else the accumulation says": (
        *WINDOWS[:1], "Accumulation.form = 'sum'", "Accumulation.leftover = 'drop'",
    ),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_steps_by_hand_have_the_bits_of_labs(native: Any, name: str) -> None:
    """Every batch, loss, gradient and parameter, over nine steps."""
    native.identical(*PROJECTS[name])


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_steps_by_hand_go_on(native: Any, name: str) -> None:
    """From every checkpoint of its own and of Lab's."""
    native.goes_on(*PROJECTS[name])


def test_too_many_losses_in_a_row_end_both_trainings(native: Any) -> None:
    """With the same error, at the same step."""
    root = native.written(*PASSED_OVER, "Plain.patience = 1")
    legacy_lab.load_config(root / "blobs.gin")
    with pytest.raises(FloatingPointError) as labs:
        legacy_lab.Trainer().train()
    gin.clear_config()
    with pytest.raises(FloatingPointError) as own:
        native.train()
    assert str(own.value) == str(labs.value)
    assert "step 3: 2 losses" in str(own.value)


def test_what_lightning_accumulates_is_left_to_it(native: Any) -> None:
    """A mean over windows that are carried over, and one loss a step."""
    for bindings in (WINDOWS, PROJECTS["one loss each, whatever else the accumulation says"]):
        (native.folder / "project").rename(native.folder / "other") if (native.folder / "project").exists() else None
        after = {one.path: one.after for one in native.converted(*bindings).changes}
        assert "automatic_optimization" not in after["blobs/module.py"]


REFUSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "fp32 copies": ("fp32 copies", (*PASSED_OVER, *GRADIENTS, "Gradients.masters = True")),
    "the mean over a critic's losses in one graph": (
        "leftover", (*GAN, "critic/Adam.accumulate = @Accumulation()", "Accumulation.leftover = 'count'"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_steps_by_hand_beside_it_are_refused(native: Any, name: str) -> None:
    """By a finding that says what."""
    said, bindings = REFUSED[name]
    conversion = native.converted(*bindings)
    assert any(one.code in ("LM402", "LM405") and said in one.message for one in conversion.findings)
    assert not conversion.changes
