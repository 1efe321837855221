"""Level L3: scripts and files that do more than train are refused: a script written anew would lose it."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project

from .conftest import TRAIN


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("    trainer.model.half()\n", "trainer.model"),
        ("    torch.manual_seed(3)\n", "torch.manual_seed"),
        ("    trainer = Trainer(steps=3)\n", "arguments"),
    ],
)
def test_a_script_that_does_more_than_train_is_refused(native: Any, line: str, said: str) -> None:
    """What a script written anew would not do, it must not lose."""
    conversion = native.converted(train=TRAIN.replace("    metrics =", f"{line}    metrics ="))
    assert any(finding.code == "LM404" and said in finding.message for finding in conversion.findings)
    assert not conversion.changes


def test_a_trainer_of_the_projects_own_is_refused(native: Any) -> None:
    """In a file of its own, or in the script: what it overrides a native training would not do."""
    script = TRAIN.replace("from legacy_lab import Trainer,", "from own import Trainer\nfrom legacy_lab import")
    own = "import legacy_lab\n\n\nclass Trainer(legacy_lab.Trainer):\n    def compute(self, batch):\n        return 1\n"
    root = native.project(train=script)
    (root / "own.py").write_text(own)
    assert any(one.code == "LM404" and "defines Trainer" in one.message for one in convert_project(root, "L3").findings)
    conversion = convert_project(root, "L3", entry="train.py")
    assert any((one.code, one.path, one.line) == ("LM403", "own.py", 1) for one in conversion.findings)
    assert not conversion.changes
    inside = script.replace("from own import Trainer\n", own).replace("import native_project\n", "")
    (root / "train.py").write_text(inside)
    (root / "own.py").unlink()
    conversion = convert_project(root, "L3", entry="train.py")
    assert any(one.code == "LM404" and "defines Trainer" in one.message for one in conversion.findings)
    assert not conversion.changes


def test_a_file_that_needs_more_of_lab_than_blocks_is_refused(native: Any) -> None:
    """At level L3 the rest of Lab is gone."""
    root = native.project()
    (root / "hooks.py").write_text("from legacy_lab.train.hooks import Hook\n")
    (finding,) = [one for one in convert_project(root, "L3").findings if one.code == "LM403"]
    assert (finding.path, finding.line) == ("hooks.py", 1)
