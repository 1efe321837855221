"""Whatever Lab project is put together, every level of a migration trains the same bits, and resumes to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import lightning.pytorch as pl
import pytest
from hypothesis import HealthCheck, assume, event, find, given, seed, settings
from hypothesis.internal.conjecture import engine

from lab_adapters.block_module import BlockModule
from lab_adapters.lean_module import LeanModule
from whole_projects import nightly
from whole_projects.proof import Proof, RefusedError, prove
from whole_projects.strategy import SLOW, LabProject, lab_projects

#: `nightly.py` draws thousands, from seeds 0 on; here are a few, from others.
SEEDS = (1001, 1002, 1003, 1004)
CI = settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.sampled
@pytest.mark.parametrize("number", SEEDS)
def test_a_generated_project_is_identical_at_every_level(number: int) -> None:
    """Blocks × objective × loader × optimizer × schedule × precision × accumulation × hooks × evaluation × resume."""
    proven: list[Proof] = []

    @seed(number)
    @CI
    @given(project=lab_projects())
    def every_project(project: LabProject) -> None:
        with TemporaryDirectory() as folder:
            try:
                proven.append(prove(project, Path(folder)))
            except RefusedError as error:
                event(f"refused: {error}")
                assume(False)

    every_project()
    assert len(proven) >= 0.75 * CI.max_examples, "too many projects are refused for this to prove anything"
    assert any(proof.idiomatic for proof in proven), "automatic optimization refuses all"


@pytest.mark.sampled
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("slow", SLOW)
def test_a_slow_project_is_identical_at_every_level(slow: str) -> None:
    """Worker processes, compiled blocks, two ranks over gloo: two projects each here, more in `nightly.py`."""
    if slow == "compiled":
        _require_compiler()

    @seed(1005)
    @settings(CI, max_examples=2)
    @given(project=lab_projects(slow))
    def every_project(project: LabProject) -> None:
        with TemporaryDirectory() as folder:
            try:
                assert prove(project, Path(folder)).steps >= 1
            except RefusedError:
                assume(False)

    every_project()


def _require_compiler() -> None:
    from torch._inductor import cpp_builder

    try:
        cpp_builder.get_cpp_compiler()
    except Exception as error:  # torch raises exceptions of its own, which moved between versions
        pytest.skip(f"needs a C++ compiler: {error}")


#: The smallest projects that once differed, and what was wrong.
FINDS = {
    "a weight that a hook sets before the step was not set again in a step that a checkpoint cut in two": LabProject(
        (
            "Adam.accumulate = 2",
            "Anneal.of = 'smoothing'",
            "Anneal.schedule = @weight/Ramp()",
            "weight/Ramp.of = 'weight'",
            "weight/Ramp.start = 0.1",
            "weight/Ramp.end = 0.5",
            "weight/Ramp.steps = 5",
            "CutAt.batch = 1",
            "Trainer.hooks = [@Anneal(), @CutAt()]",
        ),
        steps=1,
        cut=1,
    ),
    "level L2 did not restore the generators when no step was left": LabProject(
        ("CutAt.batch = 1", "Trainer.hooks = [@CutAt()]"), steps=1, cut=1
    ),
    "a teacher that was loaded and not yet asked for was not in the next checkpoint": LabProject(
        (
            "Trainer.objective = @Distillation()",
            "CutAt.batch = 1",
            "Trainer.hooks = [@Teach(), @CutAt()]",
        ),
        steps=1,
        cut=1,
    ),
    "level L2 swapped an average in before its first update": LabProject(
        (
            "Trainer.ema = @EMA()",
            "EMA.decay = 0.9",
            "EMA.buffers = True",
            "Trainer.eval_every = 2",
            "Trainer.evaluation = @Evaluation()",
            "Evaluation.at_start = True",
            "Evaluation.eval_mode = False",
        ),
        steps=1,
        cut=None,
    ),
}


@pytest.mark.parametrize("project", FINDS.values(), ids=[name.replace(" ", "-")[:40] for name in FINDS])
def test_what_was_found_once_stays_mended(project: LabProject, tmp_path: Path) -> None:
    """Each find of the generator."""
    assert prove(project, tmp_path).steps >= 1


def _zeroing(module: Any, set_to_none: bool = True) -> None:
    """Lightning's own `zero_grad`, which `LeanModule` turns off."""
    pl.LightningModule.zero_grad(module, set_to_none)


def _without_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    step = BlockModule.training_step

    def without_after_step(self: Any, token: int, batch_idx: int) -> None:
        hooks, self.hooks = self.hooks, [hook for hook in self.hooks if type(hook).__name__ != "Jitter"]
        try:
            step(self, token, batch_idx)
        finally:
            self.hooks = hooks

    monkeypatch.setattr(BlockModule, "training_step", without_after_step)


@attrs.frozen
class Fault:
    """One of the migrated side, the level that has it, and the lines that a smallest project needs to show it.

    A project without `met` in its lines does not run into it.
    """

    plant: Callable[[pytest.MonkeyPatch], None]
    level: str
    needed: list[set[str]]
    met: str = ""


FAULTS = {
    "gradients are set to None before the first step": Fault(
        lambda patch: patch.setattr(LeanModule, "zero_grad", _zeroing),
        "L1",
        [{"Trainer.model = @unused", "unused.model = @Model"}],
        met="@unused",
    ),
    "a hook is not called": Fault(_without_jitter, "L2", [{"Trainer.hooks = [@Jitter()]"}], met="@Jitter()"),
}


@pytest.mark.sampled
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_shrinks_to_a_small_project(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left are the lines that the fault needs, and at most two steps."""
    found = FAULTS[fault]
    found.plant(monkeypatch)
    # How far a search comes says nothing of how loaded the machine is.
    monkeypatch.setattr(engine, "MAX_SHRINKING_SECONDS", 3600)
    tried: list[LabProject] = []

    def differs(project: LabProject) -> bool:
        if not any(found.met in line for line in project.lines):
            return False
        tried.append(project)
        with TemporaryDirectory() as folder:
            try:
                prove(project, Path(folder), levels=[found.level])
            except RefusedError:
                return False
            except AssertionError:
                return True
        return False

    smallest = find(lab_projects(), differs, settings=settings(CI, max_examples=300, derandomize=True))
    assert set(smallest.lines) in found.needed, f"after {len(tried)} projects: {smallest}"
    assert smallest.steps <= 2


def test_a_difference_that_does_not_come_again_is_logged_and_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ranks that were halted for longer than they wait for each other once ended a night's run."""
    tried: list[LabProject] = []

    def halted_once(project: LabProject, folder: Path) -> Proof:
        tried.append(project)
        if len(tried) == 1:
            raise AssertionError("rank 0 said nothing")
        return Proof(1, idiomatic=False)

    monkeypatch.setattr(nightly, "prove", halted_once)
    found = nightly.run_slice(0, size=3)
    assert found["differs"]["said"] == "not when it was run again: rank 0 said nothing"
