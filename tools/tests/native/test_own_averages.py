"""Averages that a project built on Lab's: taken out of their files, with Lab's as plain code, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lab_migrate.convert import convert_project
from lab_parity.testing import assert_same_bits

from .settings import COSINE, GAN
from .states import state_of, told

PROJECTS: dict[str, tuple[str, ...]] = {
    "a formula": ("Trainer.ema = @Powered()", "Powered.power = 3.0", "Powered.buffers = True"),
    "a formula on another, accumulation": ("Trainer.ema = @Rounded()", "Rounded.power = 3.0", "Adam.accumulate = 2"),
    "one that waits, draws and evaluates otherwise": ("Trainer.ema = @Belated()", "Belated.every = 2", *COSINE),
    "one of a generator and its critic": (
        *GAN, "Trainer.ema = @Belated()", "Belated.start = 2", "Adversarial.critic_steps = 2",
        "Trainer.hooks = [@Shaken()]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROJECTS)
def test_a_training_with_an_average_of_the_projects_own_has_the_bits(native: Any, name: str) -> None:
    """Every batch, loss, gradient and parameter; what is evaluated draws where the average says so."""
    native.identical(*PROJECTS[name])


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_an_average_of_the_projects_own_is_labs(native: Any, name: str) -> None:
    """At the end, as well as what was evaluated with it, and behind a resume from every checkpoint."""
    whole = native.goes_on(*PROJECTS[name])
    labs = torch.load(sorted((native.folder / "lab").glob("*.lab"))[-1], weights_only=True)
    assert labs["ema"]["updates"] > 0
    assert_same_bits(labs["ema"], state_of(whole)["callbacks"]["Average"])
    logged = [json.loads(line) for line in (native.folder / "lab" / "metrics.jsonl").read_text().splitlines()]
    evaluated = [line["eval/loss"] for line in logged if "eval/loss" in line]
    assert told(whole)["eval/loss"] == torch.tensor(evaluated[-1]).item(), "the mean, in Lightning's precision"


def test_the_classes_stand_in_a_file_of_their_own_without_lab(native: Any, tmp_path: Path) -> None:
    """Also the class between; what they use of their file is imported from there."""
    native.written("Trainer.ema = @Rounded()")
    text = (tmp_path / "native" / "blobs" / "average.py").read_text()
    assert [line for line in text.splitlines() if line.startswith("class ")] == [
        "class EMA:", "class Powered(EMA):", "class Rounded(Powered):",
    ]  # fmt: skip
    assert "from native_averages import share" in text
    left = (tmp_path / "native" / "native_averages.py").read_text()
    assert "def share" in left
    for one in (text, left):
        assert "legacy_lab" not in one
        assert "gin" not in one


HEAD = """\
import gin
import torch

from legacy_lab.train.ema import EMA


@gin.configurable
class Steady(EMA):
"""
UPDATE = "    def update(self, model):\n        super().update(model)\n"
REFUSED: dict[str, tuple[str, int, str]] = {
    "a draw when it is made": (
        "    def __init__(self):\n        super().__init__()\n        self.x = torch.rand(1)\n", 11, "it may draw",
    ),
    "a call in its class": ("    noise = torch.rand(1)\n", 9, "it may draw"),
    "another of Lab's": (UPDATE.replace("super().update(model)", "Tracker(model)"), 8, "uses Tracker of legacy_lab"),
    "an object that it is given": (
        "    def __init__(self, schedule=None):\n        super().__init__()\n", 8, "is given an object",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_average_that_needs_more_of_lab_is_refused(native: Any, name: str) -> None:
    """The finding stands at its line, and nothing is written."""
    body, line, said = REFUSED[name]
    given = ("Steady.schedule = @Halving()", "Halving.lr = 1.0") if "schedule" in body else ()
    root = native.project("Trainer.ema = @Steady()", *given)
    head = HEAD.replace("train.ema import EMA", "train.ema import EMA\nfrom legacy_lab.track import Tracker")
    (root / "own.py").write_text((head.replace("\n\n\n@", "\n\n@") if "Tracker" in body else HEAD) + body)
    conversion = convert_project(root, "L3")
    (found,) = conversion.findings
    assert (found.code, found.path, found.line) == ("LM405", "own.py", line), found
    assert said in found.message
    assert not conversion.changes


def test_an_average_whose_base_stands_in_another_file_is_refused(native: Any) -> None:
    """At the import of Lab's that would stay behind."""
    root = native.project("Trainer.ema = @Steady()")
    (root / "base.py").write_text("from legacy_lab.train.ema import EMA\n\n\nclass Base(EMA):\n    pass\n")
    (root / "own.py").write_text(
        "import gin\nfrom base import Base\n\n\n@gin.configurable\nclass Steady(Base):\n    pass\n"
    )
    conversion = convert_project(root, "L3")
    assert any((one.code, one.path, one.line) == ("LM403", "base.py", 1) for one in conversion.findings)
    assert not conversion.changes
