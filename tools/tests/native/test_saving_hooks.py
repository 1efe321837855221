"""Level L3: hooks that write checkpoints themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gin
import pytest
import torch

import legacy_lab
from lab_migrate.convert import convert_project
from lab_parity.testing import assert_same_bits

OWN = '''
import math

import gin
import torch
from legacy_lab.train.hooks import Hook


@gin.configurable
class Milestones(Hook):
    """Writes a checkpoint of some steps, of each evaluation that is the best so far, and of the end."""

    def __init__(self, steps=(3, 5), best="best.lab"):
        self.steps, self.best, self.least = steps, best, math.inf

    def after_step(self, trainer, metrics):
        if trainer.step in self.steps:
            trainer.save(trainer.run_dir / f"milestone_{trainer.step}.lab")

    def after_eval(self, trainer, metrics):
        if metrics["eval/loss"] < self.least:
            self.least = metrics["eval/loss"]
            self.keep(trainer)

    def keep(self, trainer):
        trainer.save(trainer.run_dir / "bests" / self.best)

    def after_train(self, trainer):
        trainer.save(trainer.run_dir / "final.lab")

    def state(self):
        return {"least": self.least}

    def load_state(self, state):
        self.least = state["least"]


@gin.configurable
class Behind(Hook):
    """Draws behind each step, also behind one that is saved before it."""

    def after_step(self, trainer, metrics):
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))
'''
ALWAYS = ("Trainer.hooks = [@Milestones(), @Behind()]", "Trainer.eval_every = 2")
PROJECTS: dict[str, tuple[str, ...]] = {
    "plain": ALWAYS,
    "two batches a step, an average, generators that are put back": (
        *ALWAYS, "Adam.accumulate = 2", "Trainer.ema = @EMA()", "Trainer.evaluation = @Evaluation()",
        "Evaluation.generators = 'kept'", "Evaluation.eval_mode = False",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROJECTS)
def test_a_training_goes_on_from_what_its_hook_wrote_as_labs_does(native: Any, tmp_path: Path, name: str) -> None:
    """Lab's ends with the same bits, also where it skips what was to come behind the saved step."""
    module = f"milestones_{list(PROJECTS).index(name)}"
    native.more[f"{module}.py"] = OWN
    with native.registered(module):
        root = native.written(*PROJECTS[name])
        native.train()
        ended(root)
        labs = tmp_path / "legacy"
        for file in ("milestone_3", "milestone_5", "bests/best"):
            found = native.train(resume=str(tmp_path / "run" / f"{file}.ckpt"))
            expected = ended(root, labs / f"{file}.lab")
            assert_same_bits(dict(expected["model"]), dict(found.lightning_module.model.state_dict()))
            assert torch.equal(expected["rng"]["torch"], torch.get_rng_state())
        longer = native.train(resume=str(tmp_path / "run" / "final.ckpt"), steps=12)
        expected = ended(root, labs / "final.lab", "Trainer.steps = 12")
        assert_same_bits(dict(expected["model"]), dict(longer.lightning_module.model.state_dict()))
    text = (tmp_path / "native" / "blobs" / "callbacks.py").read_text()
    assert 'trainer.save_checkpoint(Path(trainer.default_root_dir) / f"milestone_{trainer.global_step}.ckpt")' in text
    assert 'best="best.ckpt"' in text


def ended(root: Path, resume: Path | None = None, *bindings: str) -> dict[str, Any]:
    """What Lab's training ends with."""
    legacy_lab.load_config(root / "blobs.gin", bindings)
    torch.manual_seed(0)
    trainer = legacy_lab.Trainer()
    trainer.train(resume=resume)
    gin.clear_config()
    return trainer.state()


def test_a_checkpoint_behind_the_evaluation_before_step_0_is_refused(native: Any) -> None:
    """Lightning begins another training from there."""
    native.more["milestones_first.py"] = OWN
    conversion = native.converted(*ALWAYS, "Trainer.evaluation = @Evaluation()", "Evaluation.at_start = True")
    assert not conversion.changes
    assert any("before step 0" in one.message for one in conversion.findings), conversion.findings


REFUSED: dict[str, str] = {
    "before a step": "    def before_step(self, trainer):\n        trainer.save('a.lab')\n",
    "Lab's own files": "    def after_train(self, trainer):\n        print(*trainer.run_dir.glob('step_*.lab'))\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_checkpoints_that_lightning_would_not_write_are_refused(native: Any, name: str) -> None:
    """A step's first batch has been fetched before it; and there are no files of Lab's."""
    root = native.project("Trainer.hooks = [@Mine()]")
    head = "import gin\n\nfrom legacy_lab.train.hooks import Hook\n\n\n@gin.configurable\nclass Mine(Hook):\n"
    (root / "own.py").write_text(head + REFUSED[name])
    conversion = convert_project(root, "L3")
    (found,) = conversion.findings
    assert (found.code, found.line) == ("LM405", 9), found
    assert not conversion.changes
