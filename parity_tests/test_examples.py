"""The example projects, as they stand, train the same bits under Lab's Trainer and under the drop-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gin
import pytest

from lab_runs import PROJECTS, LabRun


@pytest.fixture(autouse=True)
def _clean_gin() -> Iterator[None]:
    yield
    gin.clear_config()


@pytest.mark.parametrize("project", PROJECTS)
def test_the_examples_are_identical_as_they_stand(project: str, tmp_path: Path) -> None:
    """With their evaluations, average, schedule and accumulation; every phase that they have is covered."""
    verdict = LabRun(project, ("Trainer.eval_every = 4",), steps=8).verdict(tmp_path)
    assert verdict.rung == "identical", verdict.reasons
    assert verdict.coverage.steps == 8
    assert not {"config", "rng", "batch", "loss", "grad", "optimizer", "param"} & set(verdict.coverage.not_exercised)
