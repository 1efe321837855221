"""Level L3: which modules are in training mode, and when."""

from __future__ import annotations

from typing import Any

import pytest

from .settings import GAN

QUIET = "Model.blocks = [@wide/Linear(), @Quiet(), @Norm(), @Activation(), @head/Linear()]"
PROJECTS: dict[str, tuple[str, ...]] = {
    "built in evaluation mode": (QUIET,),
    "built in evaluation mode, nothing evaluated": (QUIET, "Trainer.eval_every = 0"),
    "a hook that leaves the model in evaluation mode": ("Trainer.hooks = [@Muted()]", "Trainer.ema = @EMA()"),
    "an average that leaves the model in evaluation mode": (
        "Trainer.hooks = [@Sampled()]", "Trainer.ema = @Belated()", "Belated.start = 1",
    ),
    "a hook that looks at the model behind an evaluation": (
        "Trainer.hooks = [@Dreaming()]", "Trainer.ema = @EMA()", "Trainer.eval_every = 2",
        "Trainer.evaluation = @Evaluation()", "Evaluation.generators = 'own'", "Evaluation.at_start = True",
    ),
    "the same, evaluated as it trains": (
        "Trainer.hooks = [@Dreaming()]", "Trainer.eval_every = 3", "Adam.accumulate = 2",
        "Trainer.evaluation = @Evaluation()", "Evaluation.eval_mode = False",
    ),
    "a generator that is built in evaluation mode": (
        *GAN, "generator/Model.blocks = [@hidden/Linear(), @Quiet(), @Activation(), @image/Linear()]",
    ),
}  # fmt: skip


def test_the_best_checkpoint_is_that_of_labs_order(native: Any) -> None:
    """A hook that has the model behind an evaluation may change it; Lightning writes the best when all are done."""
    best = ("Keep.best = 'eval/loss'", "Trainer.checkpoint_every = 3")
    found = native.converted("Trainer.hooks = [@Keep(), @Dreaming()]", *best)
    assert [one.next_step for one in found.findings] == ["put Keep last in Trainer.hooks"]
    assert not native.converted("Trainer.hooks = [@Dreaming(), @Keep()]", *best).needs_hand


@pytest.mark.parametrize("name", PROJECTS)
def test_modules_are_in_the_modes_that_they_have_under_lab(native: Any, name: str) -> None:
    """Lab sets all of the model to training mode at the beginning and behind each evaluation."""
    native.identical(*PROJECTS[name])
