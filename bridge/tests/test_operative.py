"""The operative config beside a run: everything that was built, as it was built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab_bridge import Trainer
from lab_bridge.config import read_config
from lab_bridge.config.semantic_diff import differences
from lab_bridge.operative import OPERATIVE

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("project", ["digits_vae", "digits_classifier", "char_model"])
def test_the_operative_config_means_what_ran(build: Callable[..., Any], tmp_path: Path, project: str) -> None:
    """Read back it differs from the source in what the command line changed, and in nothing else."""
    trainer = build(Trainer, project, "run", "Trainer.steps = 1", "Trainer.eval_every = 0")
    trainer.train()
    folder = EXAMPLES / project
    written = read_config(tmp_path / "run" / OPERATIVE, project=folder).require()
    changes = differences(read_config(folder / f"{project}.gin", project=folder), written)
    assert {change.path for change in changes} <= {"steps", "run_dir", "eval_every", "eval_batches", "log_every"}
    assert "Trainer.device = 'cpu'" in (tmp_path / "run" / OPERATIVE).read_text(encoding="utf-8"), "defaults, too"
