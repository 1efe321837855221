"""The moving average, and evaluation between steps: what they change, and what they leave alone."""

from __future__ import annotations

from typing import Any

import pytest

from semantics.harness import LEVELS, Parity

EMA = ["Trainer.ema = @EMA()", "EMA.decay = 0.9", "Trainer.eval_every = 2"]
EVALUATION = ["Trainer.evaluation = @Evaluation()", "Trainer.eval_every = 2"]


def other_metrics(parity: Parity, right: list[str], wrong: list[str]) -> None:
    """Demand that a mistake which only evaluation sees is found in what was logged."""
    legacy = parity.train("legacy", right)
    for level in LEVELS:
        assert parity.train(level, wrong).logged != legacy.logged, f"{level}: the wrong twin was not found"
    parity.found["twin"] = "metric"


@pytest.mark.parametrize("warmup", [True, False])
def test_own_formula_with_warmup(parity: Parity, warmup: bool) -> None:
    """An average by Lab's own formula and warm-up, swapped in at evaluation and out again.

    Seam: the legacy average is updated after the step, and swapped by the legacy evaluation.

    Twin: the other warm-up.
    """
    right = [*EMA, f"EMA.warmup = {warmup}"]
    parity.identical(*right)
    other_metrics(parity, right, [*EMA, f"EMA.warmup = {not warmup}"])


def test_evaluation_uses_the_average(parity: Parity) -> None:
    """Evaluation sees averaged weights, training never does.

    Seam: the swap lies inside the evaluation.

    Twin: evaluated with the training's weights.
    """
    parity.identical(*EMA)
    other_metrics(parity, EMA, [*EMA, *EVALUATION, "Evaluation.averaged = False"])


@pytest.mark.parametrize("buffers", [True, False])
def test_buffers_in_or_out(parity: Parity, buffers: bool) -> None:
    """Batch norm's statistics are averaged with the weights, or are the training's.

    Seam: the legacy average decides; `EMAWeightAveraging` would average them always.

    Twin: the other way.
    """
    right = [*EMA, f"EMA.buffers = {buffers}"]
    parity.identical(*right)
    other_metrics(parity, right, [*EMA, f"EMA.buffers = {not buffers}"])


def test_before_step_0(parity: Parity) -> None:
    """An evaluation before the first step, which draws from the training's generators.

    Seam: it is part of the legacy start; Lightning's sanity check is off.

    Twin: not evaluated, so that nothing is drawn.
    """
    right = [*EVALUATION, "Evaluation.at_start = True", "Evaluation.eval_mode = False"]
    parity.identical(*right)
    parity.diverges(right, [*right, "Evaluation.at_start = False"], phase="rng", step=0)


def test_without_eval_mode(parity: Parity) -> None:
    """Evaluation in training mode: dropout draws, and batch norm learns from what is evaluated.

    Seam: the legacy evaluation decides on the mode; no validation loop of Lightning's runs.

    Twin: `eval()` is called.
    """
    right = [*EVALUATION, "Evaluation.eval_mode = False"]
    parity.identical(*right)
    parity.diverges(right, [*right, "Evaluation.eval_mode = True"], phase="rng", step=2)


@pytest.mark.parametrize("generators", ["kept", "own"])
def test_without_touching_the_trainings_generators(parity: Parity, generators: str) -> None:
    """Evaluation draws, and puts the training's generators back; or it draws from generators of its own.

    Seam: the legacy evaluation restores them; Lightning builds no loader iterator, which would draw.

    Twin: not put back.
    """
    right = [*EVALUATION, "Evaluation.eval_mode = False", f"Evaluation.generators = '{generators}'"]
    parity.identical(*right)
    parity.diverges(right, [*right, "Evaluation.generators = 'shared'"], phase="rng", step=2)


def test_an_evaluation_loader_of_unknown_length(parity: Parity) -> None:
    """Evaluated until the loader says that its epoch is over.

    Seam: the legacy loader signals the end.

    Twin: one batch only.
    """
    right = [
        *EVALUATION,
        "Trainer.eval_loader = @Epochs",
        "Epochs.batches = @Exhausted()",
        "Exhausted.dataset = @test/Blobs()",
    ]
    parity.identical(*right)
    other_metrics(parity, right, [*right, "Trainer.eval_batches = 1"])


def test_a_nan_loss_is_passed_over(parity: Parity) -> None:
    """`continue` on a loss that is not finite: no backward, no step, the next batch.

    Seam: one Lightning batch is one legacy step, however many batches that takes.

    Twin: the loss is taken all the same.
    """
    right = [
        "Trainer.stepper = @Plain()",
        "Plain.skip_nan = True",
        "Trainer.objective = @Sometimes()",
        "Adam.accumulate = 2",
    ]
    parity.identical(*right)
    parity.diverges(right, [*right, "Plain.skip_nan = False"], phase=["rng", "loss"], step=1)


def test_state_carried_between_steps(parity: Parity) -> None:
    """An objective that carries a running baseline from step to step.

    Seam: the legacy objective keeps its state, and a checkpoint holds it.

    Twin: the state is lost after each step.
    """
    right = ["Trainer.objective = @Baseline()"]
    parity.identical(*right)

    def forgetful(trainer: Any) -> None:
        objective = trainer.objective
        trainer.objective = lambda model, batch: (setattr(objective, "baseline", 0.0), objective(model, batch))[1]

    parity.diverges(right, right, phase="loss", step=1, spoil=forgetful)
