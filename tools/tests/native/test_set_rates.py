"""Level L3: hooks that set the optimizer's learning rates, where no schedule does."""

from __future__ import annotations

from typing import Any

import pytest

from .settings import COSINE, GAN, LOOKAHEAD

OWN = '''
import gin
import torch
from legacy_lab.train.hooks import Hook


@gin.configurable
class Plateau(Hook):
    """Lowers the rates where an evaluation is no better."""

    def __init__(self, factor=0.5, floor=1e-4):
        self.factor, self.floor, self.best = factor, floor, None

    def after_eval(self, trainer, metrics):
        if self.best is None or metrics["eval/loss"] < self.best - 10:
            self.best = metrics["eval/loss"]
            return
        self.lower(trainer)
        print(f"step {trainer.step}: lr {trainer.optimizer.groups[0]['lr']:.2e}")

    def lower(self, trainer):
        for group in trainer.optimizer.groups:
            group["lr"] = max(self.factor * group["lr"], self.floor * group["multiplier"])

    def state(self):
        return {"best": self.best}

    def load_state(self, state):
        self.best = state["best"]


@gin.configurable
class Warming(Hook):
    """A schedule of its own, set before each step."""

    def before_step(self, trainer):
        for group in trainer.optimizer.groups:
            group["lr"] = 1e-2 * min(1.0, (trainer.step + 1) / 6) * group["multiplier"]


@gin.configurable
class Looking(Hook):
    """Moves weights by the first rate."""

    def after_step(self, trainer, metrics):
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.mul_(1 - 0.1 * trainer.optimizer.groups[0]["lr"])
'''
PLATEAU = ("Trainer.hooks = [@Plateau(), @Looking()]", "Trainer.eval_every = 2")
MULTIPLIERS = ("Adam.multipliers = {'blocks.0.*': 0.3, '*.bias': 2.0}",)
PROJECTS: dict[str, tuple[str, ...]] = {
    "lowered behind evaluations": PLATEAU,
    "lowered behind evaluations, multipliers, accumulation": (*PLATEAU, *MULTIPLIERS, "Adam.accumulate = 2"),
    "set before each step, torch's optimizer": (
        "Trainer.hooks = [@Looking(), @Warming()]", "Trainer.optimizer = @Torch", "Torch.lr = 1.0",
        "Torch.accumulate = 3",
    ),
    "set before each step, slow weights": ("Trainer.hooks = [@Warming()]", *LOOKAHEAD, *MULTIPLIERS),
}  # fmt: skip


@pytest.mark.parametrize("name", PROJECTS)
def test_a_hook_sets_the_rates_of_the_updates_to_come(native: Any, name: str) -> None:
    """In the optimizer's groups themselves, as under Lab, bit by bit."""
    module = f"rates_{list(PROJECTS).index(name)}"
    native.more[f"{module}.py"] = OWN
    with native.registered(module):
        native.identical(*PROJECTS[name])


def test_a_resumed_training_has_the_rates_that_hooks_had_set(native: Any, tmp_path: Any) -> None:
    """From the native run's own checkpoints; Lab forgets them, which is said."""
    native.more["rates_kept.py"] = OWN
    with native.registered("rates_kept"):
        conversion = native.converted(*PLATEAU, "Trainer.checkpoint_every = 1")
        assert any("forgets" in one.message for one in conversion.findings)
        conversion.write(tmp_path / "native")
        (ended,) = native.train().optimizers
        rates = [group["lr"] for group in ended.param_groups]
        assert rates == [1e-2 * 0.5**3]
        (resumed,) = native.train(resume=str(tmp_path / "run" / "step=00000005.ckpt")).optimizers
        assert [group["lr"] for group in resumed.param_groups] == rates


REFUSED: dict[str, tuple[str, ...]] = {
    "beside a schedule": (*PLATEAU, *COSINE),
    "of which of several": (*GAN, *PLATEAU),
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
def test_rates_that_a_hook_sets_in_vain_are_refused(native: Any, why: str) -> None:
    """Lab puts them back with the next schedule."""
    native.more["rates_refused.py"] = OWN
    conversion = native.converted(*REFUSED[why])
    assert not conversion.changes
    assert any(why in one.message for one in conversion.findings), conversion.findings
