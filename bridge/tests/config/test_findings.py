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


BASES = """\
import gin


@gin.configurable
class Plain:
    def __init__(self, size: int = 1, more: int = 2) -> None: ...


@gin.configurable
class Passing(Plain):
    def __init__(self, size: int = 3) -> None:
        super().__init__(size)


@gin.configurable
class Silent(Plain):
    def __init__(self, other: int = 3) -> None:
        super().__init__()


@gin.configurable
class Inherited(Plain): ...


class Between(Plain):
    def __init__(self, size: int = 5, **rest: int) -> None:
        Plain.__init__(self, size, **rest)


@gin.configurable
class Through(Between): ...


@gin.configurable
class Starred(Plain):
    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)


@gin.configurable
class HalfStarred(Plain):
    def __init__(self, size: int = 3, *sizes: int) -> None:
        super().__init__(size, *sizes)


@gin.configurable
class Apart(Plain):
    def __init__(self, size: int = 3) -> None:
        self.size = size


@gin.configurable
def main(one=None, two=None): ...


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(
    ("kind", "lines", "expected"),
    [
        ("Passing", ["Plain.size = 7"], []),
        ("Passing", ["Plain.more = 7"], ["Plain.more"]),
        ("Silent", ["Plain.size = 7"], ["Plain.size"]),
        ("Inherited", ["Plain.size = 7"], ["Plain.size"]),
        ("Inherited", ["Plain.size = 7", "Inherited.size = 8"], []),
        ("Through", ["Plain.size = 7", "Plain.more = 8"], ["Plain.more"]),
        ("Through", ["Plain.more = 7", "Through.more = 8"], []),
        ("Starred", ["Plain.size = 7"], ["Plain.size"]),
        ("HalfStarred", ["Plain.size = 7"], []),
        ("HalfStarred", ["Plain.more = 7"], ["Plain.more"]),
        ("Apart", ["Plain.size = 7"], []),
    ],
)  # fmt: skip
def test_a_setting_of_a_base_which_gin_hands_it_is_a_finding(
    tmp_path: Path, kind: str, lines: list[str], expected: list[str]
) -> None:
    """Also where the base is built itself, so that the setting has its place in the tree."""
    path = tmp_path / "c.gin"
    (tmp_path / "bases.py").write_text(BASES)
    path.write_text("\n".join([f"main.one = @{kind}()", "main.two = @Plain()", *lines, ""]), encoding="utf-8")
    document = read_config(path, tmp_path)
    found = [finding for finding in document.findings if finding.kind == "elsewhere"]
    assert sorted(finding.message.split()[0] for finding in found) == expected
    assert not any("never reached" in finding.message for finding in document.findings)
