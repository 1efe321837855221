"""A parity test that cannot fail is worthless: what is planted in the migrated run is found, at its step and phase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import gin
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lab_parity import compare
from lab_parity.plant import plant
from lab_parity.trace import Step, read
from lab_runs import PROJECTS, SITES, LabRun
from semantics.harness import Parity
from whole_projects import parts
from whole_projects.strategy import LabProject, lab_projects

__all__ = ["parts"]  # its parts are known to gin once it is imported

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


@given(project=lab_projects(), fault=st.sampled_from(["rng", "ulp"]), data=st.data())
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_smallest_faults_are_found_in_generated_projects(
    project: LabProject, fault: str, data: st.DataObject
) -> None:
    """One draw, or one bit of one weight, at any step of any project.

    Of torch's own optimizers the inner step is what is recorded; the planted bit comes after the outer one. SAM's first
    climb is an update by hand to the recorder, which does not know Lab's optimizer until that has stepped.
    """
    assume(not any("Torch" in line for line in project.lines))
    # Spike makes a weight infinite, and with it all of them NaN, which has no next bit.
    assume(not any("Spike" in line for line in project.lines))
    with TemporaryDirectory() as folder:
        parity = Parity(Path(folder))
        bindings = [*project.bindings(), f"CutAt.folder = {folder!r}"]
        try:
            legacy = parity.train("legacy", bindings)
        except Exception:  # a project that Lab refuses
            assume(False)
        steps = [step for step in read(legacy.trace).steps() if isinstance(step, Step)]
        by_hand = sum(all(key.phase != "optimizer" for key in step.keys) for step in steps)
        assume(len(steps) > by_hand)
        at = data.draw(st.integers(0, len(steps) - by_hand - 1), "at")
        with plant(fault, at, SITES):
            migrated = parity.train("L1", bindings)
        verdict = compare(legacy.trace, migrated.trace)
    assert verdict.first is not None, verdict.reasons
    assert (verdict.first.step, verdict.first.phase) == (at + by_hand, "rng" if fault == "rng" else "param")
