"""The example of a framework that is not Lab: its roles, wrapped, train as its own trainer does."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from lab_migrate.commands.compare import verdict_on
from lab_migrate.recording import record_command

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_framework"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the example."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__")))


def trace(project: Path, script: str, name: str) -> Path:
    """Train 40 updates under the recorder."""
    done = record_command(
        [sys.executable, script, "--steps", "40"], project.parent / f"{name}.trace", cwd=project, capture=True
    )
    assert done.exit_code == 0, done.output
    return done.trace


def test_its_roles_train_as_its_own_trainer(project: Path) -> None:
    """Batches, losses, gradients and parameters; and a changed momentum is found."""
    legacy = trace(project, "train.py", "legacy")
    verdict = verdict_on(legacy, trace(project, "migrated.py", "migrated"))
    assert verdict.rung == "identical"
    assert verdict.coverage.steps == 40
    framework = project / "framework.py"
    framework.write_text(framework.read_text().replace("momentum=0.9", "momentum=0.91"))
    assert verdict_on(legacy, trace(project, "migrated.py", "changed")).rung == "diverged"
