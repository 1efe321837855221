"""Level L3: scripts and files that do more than train are refused: a script written anew would lose it."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project
from lab_migrate.native.project import convert_native

from .conftest import TRAIN


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("    trainer.model.half()\n", "trainer.model"),
        ("    torch.manual_seed(3)\n", "torch.manual_seed"),
        ("    trainer = Trainer(steps=3)\n", "arguments"),
        ("    argparse.os.environ['CUBLAS_WORKSPACE_CONFIG'] = ':4096:8'\n", "environ"),
        ("    native_project.Specks.noise = 0.3\n", "Specks.noise"),
        ("    del native_project.Specks.noise\n", "Specks.noise"),
        ("    for _ in (1, 2):\n        trainer = Trainer()\n", "in a loop"),
        ("    trainer = Trainer()\n", "more than once"),
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
    said = "Trainer is built on Lab's trainer, which has compute of its own"
    for entry in (None, "train.py"):
        (found,) = convert_project(root, "L3", entry=entry).findings
        assert (found.code, found.path, found.line) == ("LM404", "own.py", 4)
        assert said in found.message
    inside = script.replace("from own import Trainer\n", own).replace("import native_project\n", "")
    (root / "train.py").write_text(inside)
    (root / "own.py").unlink()
    (found,) = convert_project(root, "L3", entry="train.py").findings
    assert (found.path, said in found.message) == ("train.py", True)


def test_a_file_that_needs_more_of_lab_than_blocks_is_refused(native: Any) -> None:
    """At level L3 the rest of Lab is gone."""
    root = native.project()
    (root / "hooks.py").write_text("from legacy_lab.train.hooks import Hook\n")
    (finding,) = [one for one in convert_project(root, "L3").findings if one.code == "LM403"]
    assert (finding.path, finding.line) == ("hooks.py", 1)


BOUND = 'load_config("blobs.gin", ["Trainer.steps = 3", f"Trainer.run_dir = {args.resume!r}"])'


def test_a_setting_that_the_script_binds_is_refused_unless_it_is_given(native: Any) -> None:
    """The config does not show it; given again, or in the config of a run, it is in the native config."""
    root = native.project(train=TRAIN.replace('load_config("blobs.gin")', BOUND))
    (found,) = convert_project(root, "L3").findings
    assert (found.code, found.path) == ("LM404", "train.py")
    assert "binds Trainer.steps itself" in found.message
    conversion = convert_project(root, "L3", bindings=["Trainer.steps = 3"])
    assert not conversion.needs_hand, conversion.findings
    (config,) = [one.after for one in conversion.changes if one.path == "blobs/config.py"]
    assert "steps: int = 3" in config


def test_a_setting_that_the_script_binds_by_its_arguments_is_said(native: Any) -> None:
    """The native script has an option for it, and the config's value."""
    bound = BOUND.replace('"Trainer.steps = 3"', 'f"Adam.lr = {args.resume}"')
    conversion = native.converted(train=TRAIN.replace('load_config("blobs.gin")', bound))
    assert not conversion.needs_hand
    said = [one.message for one in conversion.findings if "by its arguments" in one.message]
    assert len(said) == 1, "and nothing of where files go"
    assert "Adam.lr" in said[0]


def test_modules_that_do_something_when_they_are_imported_are_imported_still(native: Any) -> None:
    """Before all else, in their order; those that only define are not."""
    files = {
        "first.py": "import second\nimport gin\nimport torch\n\n"
        "torch.backends.cudnn.benchmark = False\ngin.constant('a', 1)\n",
        "second.py": "import os\n\nos.environ.setdefault('A', '1')\n",
        "third.py": "import torch\n\nif __name__ == '__main__':\n    torch.set_num_threads(1)\nSIZE = max(1, 2)\n",
        "fourth/__init__.py": "",
        "fourth/inner.py": "from . import other\n",
        "fourth/other.py": "import torch\n\n"
        "try:\n    torch.set_float32_matmul_precision('high')\nexcept ValueError:\n    pass\n",
    }
    native.more.update(files)
    (native.folder / "project" / "fourth").mkdir(parents=True)
    imports = "import native_project\nimport first\nimport third\nfrom fourth import inner\n"
    conversion = native.converted(train=TRAIN.replace("import native_project\n", imports))
    (script,) = [one.after for one in conversion.changes if one.path == "train.py"]
    assert [line.split()[1] for line in script.splitlines() if "isort: skip" in line] == [
        "second", "first", "fourth.other",
    ]  # fmt: skip


def test_a_setting_that_only_the_scripts_arguments_have_is_asked_for(native: Any) -> None:
    """The config lacks it, and is right; with --bind it converts."""
    train = TRAIN.replace('load_config("blobs.gin")', 'load_config("blobs.gin", [f"Trainer.steps = {9}"])')
    root = native.project(train=train)
    config = (root / "blobs.gin").read_text()
    (root / "blobs.gin").write_text(config.replace("Trainer.steps = 9\n", ""))
    findings = convert_project(root, "L3").findings
    assert any(one.code == "LM405" and "--bind 'Trainer.steps = …'" in one.next_step for one in findings), findings
    assert not convert_native(root, bindings=["Trainer.steps = 9"]).needs_hand
