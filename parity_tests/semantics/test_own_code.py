"""A project's own code around and inside of a step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import legacy_lab
from legacy_lab.train.evaluation import Evaluation
from semantics.harness import LEVELS, Parity

#: What a subclass of Lab's trainer may override, but for `latest`, which is called at every level.
METHODS = tuple(name for name in vars(legacy_lab.Trainer) if not name.startswith("_") and name != "latest")

NOISY = ["train/Loader.dataset = @Formed()", "Formed.noise = 0.1"]


def test_a_hook_before_the_batch(parity: Parity) -> None:
    """A hook that draws before a step's first batch, for whose examples noise is drawn as well.

    Seam: the legacy step calls hooks, then asks for the batch.

    Twin: it draws when the batch is there.
    """
    right = [*NOISY, "Trainer.hooks = [@Draws()]"]
    parity.identical(*right)
    parity.diverges(right, [*NOISY, "Trainer.hooks = [@LateDraws()]"], phase=["rng", "batch"], step=0)


def test_a_hook_after_each_loss(parity: Parity) -> None:
    """A hook that draws after each loss, inside of a step and behind it.

    Seam: the legacy stepper calls it, and the drop-in after all that follows a step.

    Twin: it is called once a step.
    """
    right = [*NOISY, "Trainer.hooks = [@DrawsAfter()]", "Adam.accumulate = 2"]
    parity.identical(*right)
    parity.diverges(right, [*right, "DrawsAfter.within = False"], phase=["rng", "batch"], step=0)


def test_a_hook_that_evaluates_and_logs(parity: Parity) -> None:
    """A hook that calls `trainer.evaluate()` and `trainer.log(…)`, and reads `trainer.last_metrics`.

    Seam: the drop-in is the trainer; at level L2 the module has these as the trainer had them.

    Twin: it watches every fourth step.
    """
    right = ["Trainer.hooks = [@Watches()]", "Trainer.ema = @EMA()", "Trainer.log_every = 2"]
    legacy = parity.identical(*right)
    assert legacy.logged.count("watched") == 3
    wrong = parity.train("L1", [*right, "Watches.every = 4"])
    assert legacy.logged != wrong.logged, "the wrong twin was not found"
    parity.found["twin"] = "metric"


@pytest.mark.parametrize(("more", "last", "done"), [(0, 0, 8), (3, 0, 11), (7, 4, 19)])
def test_a_hook_that_moves_the_end(parity: Parity, more: int, last: int, done: int) -> None:
    """A hook that sets `trainer.steps`, as early stopping does, or to go on for longer, behind the last step, too.

    Seam: Lightning's end and the length of what it iterates over follow the legacy trainer's `steps`.

    Twin: it does not.
    """
    bindings = ["Trainer.hooks = [@MovesEnd()]", f"MovesEnd.more = {more}", f"MovesEnd.last = {last}"]
    accumulated = [*bindings, "Adam.accumulate = 2"]
    assert parity.identical(*accumulated).trainer.step == done
    parity.identical(*bindings, "train/Loader.batch_size = 7")
    parity.diverges(accumulated, [*accumulated, "MovesEnd.at = 9"])


def test_a_setting_that_explicit_adapters_do_not_follow_is_refused(trains: Parity) -> None:
    """A hook that sets what Lab's trainer would have taken notice of; looking at it is fine."""
    trains.identical("Trainer.hooks = [@SetsLog()]", levels=LEVELS[:2])
    with pytest.raises(AttributeError, match=r"BlockModule\.log_every: expected only looks"):
        trains.train("L2", ["Trainer.hooks = [@SetsLog()]"])


def test_a_step_of_the_projects_own(parity: Parity) -> None:
    """A trainer of the project's own, which drops a weight's sign between the batch's loss and the average.

    Seam: the drop-in calls `train_step`, whoever wrote it.

    Twin: it is not called.
    """

    def own_step(trainer: Any) -> None:
        legacy_step = trainer.train_step

        def train_step() -> Any:
            metrics = legacy_step()
            with torch.no_grad():
                trainer.model.blocks[0].map.bias.abs_()
            return metrics

        trainer.train_step = train_step

    legacy = parity.identical(levels=LEVELS[:2], prepare=own_step)
    parity.found["L1 idiomatic"] = parity.idiomatic(legacy, [], own_step)
    with pytest.raises(TypeError, match=r"found Trainer\.train_step, which explicit adapters do not call"):
        parity.train("L2", [], own_step)
    parity.found["L2"] = "refused"
    parity.diverges([], [], phase=["loss", "grad"], prepare=own_step, spoil=lambda trainer: None)


@pytest.mark.parametrize("name", METHODS)
def test_no_method_of_a_trainer_is_passed_over_by_explicit_adapters(trains: Parity, name: str) -> None:
    """Level L2 refuses a trainer that has any of its own, with its name, before anything is trained."""

    def own(trainer: Any) -> None:
        mine = type("Mine", (legacy_lab.Trainer,), {name: getattr(legacy_lab.Trainer, name)})
        setattr(mine, name, lambda *_: pytest.fail("called"))
        trainer.__class__ = mine

    with pytest.raises(TypeError, match=f"found Mine.{name}, which explicit adapters do not call"):
        trains.train("L2", [], own)


def test_an_evaluation_of_the_projects_own_is_refused_by_explicit_adapters(trains: Parity) -> None:
    """They evaluate themselves, by the settings of Lab's; its own loop would not be run."""

    class Twice(Evaluation):
        def __call__(self, trainer: Any) -> dict[str, float]:
            super().__call__(trainer)
            return super().__call__(trainer)

    def own(trainer: Any) -> None:
        trainer.evaluation = Twice()

    trains.identical("Trainer.eval_every = 2", levels=LEVELS[:2], prepare=own)
    with pytest.raises(TypeError, match="found Twice with a __call__ of its own"):
        trains.train("L2", ["Trainer.eval_every = 2"], own)
