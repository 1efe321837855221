"""Hooks of a project's own: rewritten as callbacks, with the bits of Lab's training, or refused with their line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lab_migrate.convert import convert_project
from lab_migrate.native.checkpoint import convert_to_native
from lab_parity.testing import assert_same_bits

from .settings import COSINE
from .states import state_of, trained

MARGIN = "Trainer.objective = @Margin()"
PROJECTS: dict[str, tuple[str, ...]] = {
    "a draw after each step": ("Trainer.hooks = [@Shaken()]",),
    "a draw after each step of two batches, and an average": (
        "Trainer.hooks = [@Shaken()]", "Shaken.size = 0.05", "Adam.accumulate = 2", "Trainer.ema = @EMA()",
    ),
    "weights changed before each step": ("Trainer.hooks = [@Bounded()]", "Adam.accumulate = 3"),
    "what the loss says, logged": ("Trainer.hooks = [@Damped(), @Shaken()]", *COSINE),
    "what an evaluation says": (MARGIN, "Trainer.hooks = [@Sharpened()]", "Trainer.eval_every = 2"),
    "several, in Lab's order": (
        MARGIN, "Trainer.hooks = [@Shaken(), @StopOnNaN(), @Damped(), @Sharpened(), @Bounded()]",
        "Trainer.eval_every = 3", "Adam.accumulate = 2",
    ),
    "the average, a file": ("Trainer.hooks = [@Sampled()]", "Trainer.ema = @EMA()", "Trainer.eval_every = 2"),
    "an average of the project's own, two batches a step": (
        "Trainer.hooks = [@Sampled()]", "Trainer.ema = @Powered()", "Adam.accumulate = 2",
    ),
    "one of Lab's": (
        "Trainer.objective = @Distillation()", "Trainer.hooks = [@Teach()]",
    ),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_hook_of_the_projects_own_has_the_bits_as_a_callback(native: Any, name: str) -> None:
    """Every batch, loss, gradient and parameter, over nine steps."""
    native.identical(*PROJECTS[name])


def test_a_hook_writes_what_it_did(native: Any) -> None:
    """Where the training's files go; the same as under Lab, and behind a resume from every checkpoint."""
    native.goes_on("Trainer.hooks = [@Sampled()]", "Trainer.ema = @EMA()")
    for step in (3, 6, 9):
        said = [(native.folder / run / f"samples_{step}.txt").read_text() for run in ("lab", "run")]
        assert said[0] == said[1]


def test_a_hook_that_asks_for_an_average_that_there_is_not_is_refused(native: Any) -> None:
    """Lab would hand it None."""
    conversion = native.converted("Trainer.hooks = [@Sampled()]")
    assert any(one.code == "LM405" and "there is none" in one.message for one in conversion.findings)
    assert not conversion.changes


@pytest.mark.parametrize("lines", [(), ("Adam.accumulate = 2",)])
def test_a_hook_ends_the_training_where_it_did(native: Any, tmp_path: Path, lines: tuple[str, ...]) -> None:
    """After its step's evaluation, and without another, which would draw."""
    settings = (MARGIN, "Trainer.hooks = [@Sharpened()]", "Trainer.eval_every = 3", "Sharpened.evaluations = 2")
    root = native.written(*settings, "Trainer.steps = 30", *lines)
    ended = native.train()
    assert ended.global_step == 6
    drawn = torch.get_rng_state()
    whole = trained(root, tmp_path / "lab")
    assert len(whole) == 6
    assert torch.equal(drawn, torch.load(whole[-1], weights_only=True)["rng"]["torch"])


@pytest.mark.parametrize("at", [4, 5])
def test_a_hook_with_a_state_goes_on(native: Any, tmp_path: Path, at: int) -> None:
    """From the native run's own checkpoint, and from Lab's, to the end of the whole run."""
    settings = (MARGIN, "Trainer.hooks = [@Damped(), @Sharpened()]", f"Trainer.checkpoint_every = {at}")
    root = native.written(*settings, "Trainer.eval_every = 2", "Trainer.eval_batches = 1")
    ended = hooks_of(native.train())
    resumed = native.train(resume=str(next((tmp_path / "run").glob(f"*{at}.ckpt"))))
    # What stands at the beginning of a training is done once more where it is resumed, by Lab as well.
    labs = trained(root, tmp_path / "lab")[at - 1]
    convert_to_native(labs, tmp_path / "x.ckpt", root)
    converted = native.train(resume=str(tmp_path / "x.ckpt"))
    assert_same_bits(state_of(resumed), state_of(converted))
    assert hooks_of(resumed)["Sharpened"]["found"][: at // 2] == ended["Sharpened"]["found"][: at // 2]
    assert hooks_of(resumed)["Damped"]["greatest"] >= 1.0


def hooks_of(trainer: Any) -> dict[str, Any]:
    """The states of callbacks that were hooks."""
    states: dict[str, Any] = state_of(trainer)["callbacks"]
    return {name: states[name] for name in ("Damped", "Sharpened")}


def test_what_is_written_reads_as_a_callback(native: Any, tmp_path: Path) -> None:
    """Comments, docstrings and helper methods stay; the file that the class was in keeps what others need."""
    native.written("Trainer.hooks = [@Shaken(), @Damped()]")
    text = (tmp_path / "native" / "blobs" / "callbacks.py").read_text()
    assert "class Shaken(L.Callback):" in text
    assert "for parameter in linear(pl_module.model):" in text
    assert "# after the average" in text
    assert "from native_hooks import linear" in text
    assert "found = pl_module.metrics" in text
    assert 'trainer.logger.log_metrics({"greatest": loss}, trainer.global_step)' in text
    assert "legacy_lab" not in text
    left = (tmp_path / "native" / "native_hooks.py").read_text()
    assert "def linear" in left
    assert "legacy_lab" not in left
    assert "TYPE_CHECKING" not in left


HEAD = """\
import gin
import torch

from legacy_lab.train.hooks import Hook


@gin.configurable
class Mine(Hook):
"""
REFUSED: dict[str, tuple[str, int, str]] = {
    "another method of Lab's": ("    def after_save(self, trainer, path):\n        pass\n", 9, "has after_save"),
    "a setting of the trainer": (
        "    def after_step(self, trainer, metrics):\n        trainer.eval_every = 3\n", 10, "eval_every",
    ),
    "the optimizer": (
        "    def after_step(self, trainer, metrics):\n        print(trainer.optimizer.steps)\n", 10, "for optimizer",
    ),
    "a rate that it sets": (
        "    def after_step(self, trainer, metrics):\n        trainer.optimizer.hyper['lr'] *= 0.1\n", 10,
        "changes Lab's optimizer, where Lightning's schedule has its own settings: trainer.optimizer.hyper['lr'] *= 0",
    ),
    "decays that it sets": (
        "    def after_eval(self, trainer, metrics):\n        for g in trainer.optimizer.groups:\n"
        "            g['decay'] = g['lr'] / 2\n", 11, "has its own settings: g['decay'] = g['lr'] / 2",
    ),
    "more steps": (
        "    def after_step(self, trainer, metrics):\n        trainer.steps = trainer.step + 9\n", 10, "changes",
    ),
    "the trainer handed on": ("    def after_step(self, trainer, metrics):\n        print(trainer)\n", 10, "hands"),
    "gradients": (
        "    def after_step(self, trainer, metrics):\n        for p in trainer.model.parameters():\n"
        "            print(p.grad)\n", 11, "asks for grad",
    ),
    "a draw before the batch": (
        "    def before_step(self, trainer):\n        self.noise = torch.randn(3)\n", 10, "calls torch.randn",
    ),
    "a draw before the batch, in a method of its own": (
        "    def noisy(self):\n        return torch.rand(1)\n\n    def before_step(self, trainer):\n"
        "        self.noisy()\n", 10, "calls torch.rand",
    ),
    "a draw when it is made": ("    def __init__(self):\n        self.noise = torch.randn(3)\n", 10, "when it is made"),
    "metrics that it adds": (
        "    def after_step(self, trainer, metrics):\n        metrics['more'] = metrics['loss']\n", 10, "does more",
    ),
    "a name that Lightning calls": ("    def setup(self, a, b, c):\n        pass\n", 9, "which Lightning would call"),
    "a call in its class": ("    noise = torch.randn(3)\n", 9, "in its class"),
    "a function that asks later": (
        "    def before_train(self, trainer):\n        self.now = lambda: trainer.step\n", 10, "defines a function",
    ),
}  # fmt: skip


def test_a_hook_with_a_decorator_of_its_class_is_refused(native: Any) -> None:
    """It was lost in silence; one of the project's may do anything, and a frozen dataclass is no callback."""
    root = native.project("Trainer.hooks = [@Mine()]")
    for line, taken in (
        ("@dataclass(frozen=True)", False),
        ("@kept(3)", False),
        ("@configurable(module='ours')", True),
    ):
        text = HEAD.replace("@gin.configurable\n", f"{'' if taken else '@gin.configurable'}\n{line}\n")
        more = "from dataclasses import dataclass\nfrom gin import configurable\n\ndef kept(n): return lambda c: c\n"
        body = "    every: int = 2\n\n    def before_train(self, trainer):\n        print(self.every)\n"
        (root / "own.py").write_text(text.replace("import gin\n", f"import gin\n{more}", 1) + body)
        conversion = convert_project(root, "L3")
        assert bool(conversion.changes) == taken, conversion.findings
        assert taken or f"has the decorator {line}" in conversion.findings[0].message


@pytest.mark.parametrize("name", REFUSED)
def test_a_hook_that_asks_for_more_is_refused_at_its_line(native: Any, name: str) -> None:
    """Nothing is written."""
    body, line, said = REFUSED[name]
    root = native.project("Trainer.hooks = [@Mine()]")
    (root / "own.py").write_text(HEAD + body)
    conversion = convert_project(root, "L3")
    (found,) = conversion.findings
    assert (found.code, found.path, found.line) == ("LM405", "own.py", line), found
    assert said in found.message
    assert not conversion.changes


def test_hooks_whose_files_differ_in_a_name_are_refused(native: Any) -> None:
    """In one file one of the two would take the place of the other."""
    root = native.project("Trainer.hooks = [@Mine(), @Other()]")
    body = "    def after_step(self, trainer, metrics):\n        print(SIZE)\n"
    (root / "own.py").write_text(HEAD.replace("import torch\n", "import torch\n\nSIZE = 1\n") + body)
    other = HEAD.replace("Mine", "Other").replace("import torch\n", "import torch\n\nSIZE = 2\n") + body
    (root / "other.py").write_text(other)
    conversion = convert_project(root, "L3")
    assert any("the name SIZE" in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes
