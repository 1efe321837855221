"""A parity test that cannot fail is worthless: what is planted in the migrated run is found, at its step and phase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import gin
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab_runs import PROJECTS, LabRun, lab_runs

#: The phase at which each fault is first seen. The lr is set where the schedule's value stood when the step began.
SEEN_IN = {
    "batch": {"batch"},
    "decay": {"param"},
    "lr": {"optimizer", "param"},
    "rng": {"rng"},
    "ulp": {"param"},
}


@pytest.fixture(autouse=True)
def _clean_gin() -> Iterator[None]:
    yield
    gin.clear_config()


@pytest.mark.parametrize("project", PROJECTS)
@pytest.mark.parametrize("fault", SEEN_IN)
def test_a_planted_fault_is_found_at_its_step_and_phase(fault: str, project: str, tmp_path: Path) -> None:
    """One ulp in a weight, lr x 1.001, decay on biases, one extra draw, one swapped batch; on every objective."""
    verdict = LabRun(project, ("Trainer.eval_every = 0",), steps=5).verdict(tmp_path, fault, at=3)
    assert verdict.rung == "diverged"
    assert verdict.first is not None
    assert (verdict.first.step, verdict.first.phase in SEEN_IN[fault]) == (3, True), verdict.first
    assert verdict.coverage.steps == 4
    assert verdict.first.tensor


@given(run=lab_runs(), fault=st.sampled_from(["rng", "ulp"]), data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_smallest_faults_are_found_in_generated_runs(run: LabRun, fault: str, data: st.DataObject) -> None:
    """One draw, or one bit of one weight, at any step of any configuration."""
    at = data.draw(st.integers(0, run.steps - 1), "at")
    with TemporaryDirectory() as folder:
        verdict = run.verdict(Path(folder), fault, at)
    assert verdict.first is not None
    assert (verdict.first.step, verdict.first.phase) == (at, "rng" if fault == "rng" else "param")
