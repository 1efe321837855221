"""Whatever is configured, Lab's Trainer and the drop-in train the same bits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import gin
import pytest
from hypothesis import HealthCheck, given, note, settings

from lab_runs import PROJECTS, LabRun, lab_runs


@pytest.fixture(autouse=True)
def _clean_gin() -> Iterator[None]:
    yield
    gin.clear_config()


@given(run=lab_runs())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_generated_run_is_identical_at_every_step(run: LabRun) -> None:
    """Batches, generators, losses, gradients, hyperparameters, optimizer state, parameters, buffers; and what was
    logged, which EMA evaluations are part of.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        verdict = run.verdict(folder)
        note(f"{verdict.first} {verdict.reasons}\n{verdict.details}")
        assert verdict.rung == "identical"
        assert verdict.coverage.steps == run.steps
        logged = [
            [json.loads(line) for line in (folder / side / "metrics.jsonl").read_text().splitlines()]
            for side in ("legacy_lab", "lab_bridge")
        ]
        assert logged[0] == logged[1]


@pytest.mark.parametrize("project", PROJECTS)
def test_the_examples_are_identical_as_they_stand(project: str, tmp_path: Path) -> None:
    """With their evaluations, average, schedule and accumulation; every phase that they have is covered."""
    verdict = LabRun(project, ("Trainer.eval_every = 4",), steps=8).verdict(tmp_path)
    assert verdict.rung == "identical", verdict.reasons
    assert verdict.coverage.steps == 8
    assert not {"config", "rng", "batch", "loss", "grad", "optimizer", "param"} & set(verdict.coverage.not_exercised)
