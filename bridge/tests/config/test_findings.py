"""What a config says without effect is a finding with its line, and nothing of the project is imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab_bridge.config import read_config, typed

BASE = """Trainer.model = @Model
Trainer.objective = @Classifier()
Trainer.optimizer = @Adam
Trainer.loader = @Loader
Trainer.steps = 3
Loader.dataset = @Digits()
Loader.batch_size = 8
Model.input_shape = (1, 8, 8)
Model.blocks = [@a/Conv(), @a/b/Conv()]
Conv.channels = 4
"""


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("zzz/Conv.kernel = 3", "11: zzz/Conv.kernel is never reached"),
        ("Norm.kind = 'layer'", "11: Norm.kind is never reached: nothing builds Norm"),
        ("UNUSED = 3", "11: macro UNUSED is never used"),
        ("Conv.kernel = 3\nConv.kernel = 1", "11: Conv.kernel is bound again in line 12"),
        ("Conv.kernel = 3\na/Conv.kernel = 1", "11: Conv.kernel has no effect: wherever it holds, a longer scope"),
        ("Tracker.run_dir = 'x'", "11: Tracker.run_dir has no effect: whoever builds Tracker passes it itself"),
        ("Adam.model = 3", "11: Adam.model has no effect"),
    ],
)
def test_a_binding_without_effect_is_a_finding(tmp_path: Path, lines: str, expected: str) -> None:
    """gin takes each of them silently."""
    path = tmp_path / "c.gin"
    path.write_text(f"{BASE}{lines}\n", encoding="utf-8")
    document = read_config(path)
    typed(document)
    assert [expected in str(finding) for finding in document.findings] == [True]


def test_an_override_of_an_included_file_is_no_finding(tmp_path: Path) -> None:
    """That is what includes are for."""
    (tmp_path / "base.gin").write_text(BASE, encoding="utf-8")
    path = tmp_path / "c.gin"
    path.write_text("include 'base.gin'\nConv.channels = 8\n", encoding="utf-8")
    document = read_config(path)
    assert typed(document).model.blocks[0].channels == 8
    assert document.findings == ()


def test_reading_imports_nothing_of_the_project(tmp_path: Path) -> None:
    """A block of the project's own is known from its source, which would fail if it ran."""
    source = (
        "from legacy_lab.blocks import Block, block\n\n@block\nclass Mine(Block):\n    def __init__(self, width=2):\n"
    )
    (tmp_path / "mine_that_fails.py").write_text(f"{source}        pass\n\nraise RuntimeError\n", encoding="utf-8")
    path = tmp_path / "c.gin"
    path.write_text(f"{BASE}Model.blocks = [@a/Conv(), @Mine()]\nMine.width = 5\n", encoding="utf-8")
    assert typed(read_config(path)).model.blocks[1].width == 5
    assert "mine_that_fails" not in sys.modules


HIDDEN = ["Gradients.clip = @ClipValue()", "ClipValue.limit = 0.1"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (HIDDEN, ["ClipValue.limit", "Gradients.clip"]),
        ([*HIDDEN, "Adam.gradients = @Gradients()"], []),
        (["Adam.accumulate = 2", "Accumulation.form = 'sum'"], ["Accumulation.form"]),
        (["Adam.accumulate = @Accumulation()", "Accumulation.form = 'sum'"], []),
        (["Adam.clip_norm = 1.0", "ClipNorm.reach = 'model'"], ["ClipNorm.reach"]),
        (["Adam.schedule = @Ramp()", "Ramp.of = 'lr'", "Ramp.start = 1.0", "Ramp.end = 2.0", "Ramp.steps = 3",
          "Timed.per = 'loss'"], ["Timed.per"]),
        (["Plain.skip_nan = True"], ["Plain.skip_nan"]),
        (["Trainer.stepper = @Plain()", "Plain.skip_nan = True"], []),
        (["Trainer.optimizer = @Several", "Several.optimizers = {'a': @Adam, 'b': @SGD}", *HIDDEN,
          "Adam.gradients = @Gradients()"], ["Gradients.clip"]),
    ],
)  # fmt: skip
def test_a_setting_of_what_labs_code_makes_is_a_finding(tmp_path: Path, lines: list[str], expected: list[str]) -> None:
    """In a base class, in a function, behind `or` and `if`; not where the config gives the object that is used."""
    path = tmp_path / "c.gin"
    path.write_text("\n".join([BASE, *lines, ""]), encoding="utf-8")
    document = read_config(path)
    typed(document)
    found = [finding for finding in document.findings if finding.kind == "elsewhere"]
    assert sorted(finding.message.split()[0] for finding in found) == expected
