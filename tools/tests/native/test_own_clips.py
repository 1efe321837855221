"""Ways of clipping of a project's own: taken out of their files, without Lab's base, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab_migrate.convert import convert_project

from .settings import FP16, GRADIENTS

PROJECTS: dict[str, tuple[str, ...]] = {
    "a formula": (*GRADIENTS, "Gradients.clip = @Soft()", "Soft.limit = 0.01"),
    "one that remembers and looks at names, accumulation, multipliers": (
        *GRADIENTS, "Gradients.clip = @Slow()", "Slow.limit = 0.8", "Slow.memory = 0.5", "Adam.accumulate = 2",
        "Adam.multipliers = {'blocks.0.*': None, '*.bias': 2.0}",
    ),
    "one in fp16": (*FP16, "Gradients.clip = @Slow()", "Slow.limit = 0.8", "TorchScaler.scale_by = 256.0"),
}  # fmt: skip


@pytest.mark.parametrize("name", PROJECTS)
def test_a_clip_of_the_projects_own_has_the_bits(native: Any, name: str) -> None:
    """Every gradient and parameter, over nine steps."""
    native.identical(*PROJECTS[name])


def test_the_class_stands_in_a_file_of_its_own_without_lab(native: Any, tmp_path: Path) -> None:
    """Without the base and what that kept; what it uses of its file is imported."""
    native.written(*GRADIENTS, "Gradients.clip = @Soft()", "Soft.limit = 0.01")
    text = (tmp_path / "native" / "blobs" / "clipping.py").read_text()
    assert "class Soft:" in text
    assert "from native_clips import share" in text
    assert "# no norm" in text
    assert "legacy_lab" not in text
    assert "legacy_lab" not in (tmp_path / "native" / "native_clips.py").read_text()


HEAD = """\
import gin
import torch

from legacy_lab.optim.clipping import Clip


@gin.configurable
class Mine(Clip):
"""
CALL = "    def __call__(self, parameters, limit):\n        pass\n"
INIT = "    def __init__(self, limit, reach='optimizer'):\n        super().__init__(limit, reach)\n        "
DOUBLED = INIT.replace("(limit, reach)", "(limit * 2, reach)").rstrip(" ")
REFUSED: dict[str, tuple[str, int, str]] = {
    "the base's bound": (CALL.replace("pass", "print(self.limit)"), 8, "uses self.limit"),
    "another of Lab's": (CALL.replace("pass", "ClipNorm(limit)(parameters, limit)"), 8, "uses ClipNorm"),
    "a bound that it computes": (DOUBLED + CALL, 10, "computes its bound"),
    "a bound that it keeps": (f"{INIT}self.most = limit\n\n{CALL}", 8, "its limit"),
    "a draw when it is made": (f"{INIT}self.x = torch.rand(1)\n\n{CALL}", 11, "it may draw"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_clip_that_needs_more_of_lab_is_refused(native: Any, name: str) -> None:
    """The finding stands at its line, and nothing is written."""
    body, line, said = REFUSED[name]
    root = native.project(*GRADIENTS, "Gradients.clip = @Mine()", "Mine.limit = 0.1")
    head = HEAD.replace("import Clip", "import Clip, ClipNorm") if "ClipNorm" in body else HEAD
    (root / "own.py").write_text(head + body)
    conversion = convert_project(root, "L3")
    (found,) = conversion.findings
    assert (found.code, found.path, found.line) == ("LM405", "own.py", line), found
    assert said in found.message
    assert not conversion.changes
