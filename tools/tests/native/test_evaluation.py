"""Level L3: how evaluation draws, and in which mode the model is."""

from __future__ import annotations

from typing import Any

import pytest

import legacy_lab

from .settings import GAN
from .states import told

EVALUATION = ("Trainer.evaluation = @Evaluation()", "Trainer.eval_every = 2")
TRAINING = (*EVALUATION, "Evaluation.eval_mode = False")
FIRST = (*EVALUATION, "Evaluation.at_start = True")
DRAWN = ("Trainer.eval_loader = @DrawnBatches", "DrawnBatches.dataset = @test/Specks()", "Trainer.eval_batches = 2")
ROUNDS = ("Trainer.eval_loader = @Rounds", "Rounds.dataset = @test/Specks()")
PROJECTS: dict[str, tuple[str, ...]] = {
    "in training mode": TRAINING,
    "in training mode, with an average that has buffers": (*TRAINING, "Trainer.ema = @EMA()", "EMA.buffers = True"),
    "generators that are put back": (*TRAINING, "Evaluation.generators = 'kept'", "Trainer.hooks = [@Shaken()]"),
    "generators that are seeded": (*EVALUATION, "Evaluation.generators = 'own'", "Evaluation.seed = 3"),
    "generators that are seeded, an average, a hook that draws": (
        *TRAINING, "Evaluation.generators = 'own'", "Trainer.ema = @EMA()", "Adam.accumulate = 2",
        "Trainer.hooks = [@Shaken()]",
    ),
    "generators that are seeded, an average of the project's own": (
        *TRAINING, "Evaluation.generators = 'own'", "Trainer.ema = @Powered()",
    ),
    "before step 0": FIRST,
    "before step 0, in training mode, two batches a step, an average, a hook that draws": (
        *FIRST, "Evaluation.eval_mode = False", "Adam.accumulate = 2", "Trainer.ema = @EMA()",
        "Trainer.hooks = [@Shaken()]",
    ),
    "before step 0, seeded, an average of the project's own, a loader that goes on where it stopped": (
        *FIRST, "Evaluation.generators = 'own'", "Trainer.ema = @Powered()", "Trainer.eval_batches = 1",
    ),
    "before step 0, of a generator and its critic": (*GAN, *FIRST, "Adversarial.critic_steps = 2"),
    "a loader of the project's own that draws, put back": (
        *EVALUATION, *DRAWN, "Evaluation.generators = 'kept'", "Trainer.hooks = [@Shaken()]",
    ),
    "a loader of the project's own that draws, seeded": (*EVALUATION, *DRAWN, "Evaluation.generators = 'own'"),
    "passes over buckets": (
        *TRAINING, "Trainer.eval_loader = @Buckets", "Buckets.dataset = @test/LongSpecks()", "Buckets.batch_size = 3",
        "Buckets.bounds = (2, 4)", "test/LongSpecks.size = 10", "Adam.accumulate = 2",
    ),
    "passes over torch's loader that draws": (
        *TRAINING, "Trainer.eval_loader = @Epochs", "Epochs.batches = @torch_loader()", "torch_loader.batch_size = 4",
        "torch_loader.dataset = @test/Specks()",
    ),
    "passes by a thread": (
        *EVALUATION, "Trainer.eval_loader = @Prefetch", "Prefetch.loader = @thread/Loader()",
        "thread/Loader.dataset = @test/LongSpecks()", "thread/Loader.batch_size = 3",
    ),
    "passes of a loader that only says when one is over": (
        *EVALUATION, *ROUNDS, "Trainer.ema = @EMA()", "Adam.accumulate = 2",
    ),
    "passes by a thread, of who knows how many batches": (
        *TRAINING, "Trainer.eval_loader = @Prefetch", "Prefetch.loader = @thread/Buckets()",
        "thread/Buckets.dataset = @test/LongSpecks()", "thread/Buckets.batch_size = 3",
        "thread/Buckets.bounds = (2, 4)", "test/LongSpecks.size = 10",
    ),
    "passes of a loader that only says when one is over, of a generator and its critic": (
        *GAN, *FIRST, *ROUNDS, "Trainer.hooks = [@Balanced()]",
    ),
    "of a generator and its critic, in training mode, seeded": (
        *GAN, *TRAINING, "Evaluation.generators = 'own'", "Adversarial.critic_steps = 2",
        "critic/Model.blocks = [@hidden/Linear(), @Norm(), @Activation(), @logit/Linear()]",
    ),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_native_evaluation_leaves_the_training_as_labs_does(native: Any, name: str) -> None:
    """Every batch, draw, loss, gradient and parameter, over nine steps with four evaluations."""
    native.identical(*PROJECTS[name])


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_native_training_with_such_an_evaluation_goes_on(native: Any, name: str) -> None:
    """From every checkpoint; what is evaluated at the end is the same."""
    native.goes_on(*PROJECTS[name])


def test_the_evaluation_before_step_0_comes_behind_what_hooks_do_before_the_training(native: Any) -> None:
    """Here they draw, and move the weights that are evaluated, which batch norm learns from in training mode."""
    native.identical(*FIRST, "Evaluation.eval_mode = False", "Trainer.hooks = [@Damped()]")


def test_a_hook_sees_what_a_pass_of_unknown_length_found(native: Any) -> None:
    """In double precision, as Lab hands it on; the margin that it sets is in every later loss."""
    native.identical(*EVALUATION, *ROUNDS, "Trainer.objective = @Margin()", "Trainer.hooks = [@Sharpened()]")


MEASURED: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "by the average": ("Trainer.ema = @EMA()",),
    "by an average that is not swapped in": ("Trainer.ema = @EMA()", "Evaluation.averaged = False"),
    "by an average of the project's own that is not swapped in": (
        "Trainer.ema = @Powered()", "Evaluation.averaged = False",
    ),
    "in training mode": ("Evaluation.eval_mode = False",),
    "passes of a loader that only says when one is over": ROUNDS,
    "before step 0 and no other": ("Evaluation.at_start = True", "Trainer.eval_every = 20"),
    "seeded": ("Evaluation.generators = 'own'", "Evaluation.seed = 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", MEASURED)
def test_a_native_evaluation_finds_what_labs_does(native: Any, name: str) -> None:
    """The last one, of one batch, so that the mean is the number itself."""
    root = native.written(*EVALUATION, *MEASURED[name], "Trainer.eval_batches = 1", "Trainer.steps = 10")
    found = told(native.train())
    legacy_lab.load_config(root / "blobs.gin")
    metrics = legacy_lab.Trainer().train()
    assert len(found) == 2
    assert found == {name: value for name, value in metrics.items() if name.startswith("eval/")}


@pytest.mark.parametrize("line", ["Evaluation.generators = 'own'", "Evaluation.eval_mode = False"])
def test_an_average_that_swaps_itself_in_beside_an_unusual_evaluation_is_refused(native: Any, line: str) -> None:
    """It may draw on the way in and on the way out, and leave the model in another mode."""
    conversion = native.converted(*EVALUATION, line, "Trainer.ema = @Belated()")
    assert any(one.code == "LM405" and "Belated" in one.message for one in conversion.findings)
    assert not conversion.changes
