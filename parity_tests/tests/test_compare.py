"""Verdicts: what passes, what parts first, and what is never a pass."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import lab_parity
from lab_parity.plant import fault_names, plant
from lab_parity.ranks import rank_path
from lab_parity.report.terminal import render
from lab_parity.trace import End, Key, Row
from lab_parity.trace_writer import TraceWriter

Recorded = Callable[..., Path]


def written(
    path: Path, steps: int, *, end: str = "finished", name: str = "w", environment: str = "1", detail: str = ""
) -> Path:
    """A trace of one parameter that never changes."""
    writer = TraceWriter(path, {"threads": environment})
    for _ in range(steps):
        rows = [Row(Key(phase, -1, name, ""), 16 * name.encode()) for phase in ("config", "grad", "param")]
        writer.step(rows, optimizer="opt0", micro_steps=0)
    writer.close(End(end, detail))
    return path


def test_the_same_training_twice_is_identical(recorded: Recorded) -> None:
    """With its coverage, exit code 0, tolerance 0."""
    verdict = lab_parity.compare(recorded("a"), recorded("b"))
    assert (verdict.rung, verdict.exit_code, verdict.tolerance, verdict.first) == ("identical", 0, 0.0, None)
    assert (verdict.coverage.steps, verdict.coverage.micro_steps, verdict.coverage.batches) == (3, 6, 6)
    assert verdict.coverage.rng_states == 3 * 3 * 3  # generators, readings per step, steps
    assert "reduce" in verdict.coverage.not_exercised
    assert verdict.environment == {}


@pytest.mark.parametrize(
    ("fault", "phase", "tensor"),
    [
        ("lr", "optimizer", "body.0.weight lr"),
        ("decay", "param", "body.0.bias"),
        ("rng", "rng", "torch state"),
        ("batch", "batch", "call 0 argument 0"),
        ("ulp", "param", "body.0.weight"),
    ],
)
@pytest.mark.parametrize("step", [1, 2])
def test_a_planted_fault_is_found_at_its_step_and_phase(
    recorded: Recorded, fault: str, phase: str, tensor: str, step: int
) -> None:
    """One per phase, however small."""
    legacy = recorded("legacy", steps=4)
    with plant(fault, step):
        migrated = recorded("migrated", steps=4)
    verdict = lab_parity.compare(legacy, migrated)
    assert (verdict.rung, verdict.exit_code) == ("diverged", 1)
    assert verdict.first is not None
    assert (verdict.first.step, verdict.first.phase, verdict.first.tensor) == (step, phase, tensor)
    assert fault in fault_names()


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    """A typo must not leave the training healthy."""
    with pytest.raises(lab_parity.ParityError, match=", ".join(fault_names())), plant("sgd"):
        pass


@pytest.mark.parametrize(
    ("legacy", "migrated", "step", "phase"),
    [
        ({"seed": 0}, {"seed": 1}, 0, "config"),
        ({"steps": 3}, {"steps": 4}, 3, "optimizer"),
        ({"steps": 4}, {"steps": 3}, 3, "optimizer"),
        ({"micro": 2}, {"micro": 3}, 0, "loss"),
    ],
)
def test_a_different_program_diverges_where_it_differs(
    recorded: Recorded, legacy: dict[str, Any], migrated: dict[str, Any], step: int, phase: str
) -> None:
    """Another seed, one step more or fewer, one micro-step more."""
    verdict = lab_parity.compare(recorded("legacy", **legacy), recorded("migrated", **migrated))
    assert verdict.first is not None
    assert (verdict.rung, verdict.first.step, verdict.first.phase) == ("diverged", step, phase)


def test_a_differing_learning_rate_is_told_with_both_values(recorded: Recorded) -> None:
    """And the affected phases of that step are counted."""
    verdict = lab_parity.compare(recorded("a"), recorded("b", lr=0.02))
    assert verdict.first is not None
    assert "lr is 0.01 against 0.02" in verdict.first.sentence()
    assert verdict.affected == {"optimizer": 6, "param": 6}


def test_a_hyperparameter_that_one_side_lacks_is_noted_not_judged(recorded: Recorded) -> None:
    """SGD and SGD with another name for nothing: what both have is equal."""

    class Labelled(torch.optim.SGD):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, lr=lr)
            self.param_groups[0]["multiplier"] = 1.0

    verdict = lab_parity.compare(recorded("a", optimizer=torch.optim.SGD), recorded("b", optimizer=Labelled))
    assert verdict.rung == "identical"
    assert any("multiplier" in note for note in verdict.notes)


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ({"steps": 0}, {"steps": 0}, "no step was compared"),
        ({"steps": 2}, {"steps": 2, "end": "exception"}, "second trace did not finish"),
        ({"steps": 2, "end": "signal"}, {"steps": 2}, "first trace did not finish"),
        ({"steps": 3}, {"steps": 2, "end": "exception"}, "second trace did not finish"),
        ({"steps": 2, "end": "stopped"}, {"steps": 2, "end": "stopped"}, "first trace did not finish"),
        (
            {"steps": 2, "end": "stopped", "detail": "after step 1, as asked"},
            {"steps": 2},
            "first trace did not finish",
        ),
        (
            {"steps": 2, "end": "stopped", "detail": "after step 1, as asked"},
            {"steps": 3, "end": "stopped", "detail": "after step 2, as asked"},
            "first trace did not finish",
        ),
        ({"steps": 2}, {"steps": 2, "name": "v"}, "no partner"),
    ],
)
def test_what_is_missing_or_unmatched_is_inconclusive(
    tmp_path: Path, a: dict[str, Any], b: dict[str, Any], reason: str
) -> None:
    """Never a pass on nothing: exit code 3 and the reason."""
    verdict = lab_parity.compare(written(tmp_path / "a", **a), written(tmp_path / "b", **b))
    assert (verdict.rung, verdict.exit_code) == ("inconclusive", 3)
    assert any(reason in text for text in verdict.reasons)


def test_runs_that_were_both_ended_after_the_same_step_are_compared_up_to_there(tmp_path: Path) -> None:
    """Whoever ended them knows; the verdict says that what comes later was not compared."""
    end = {"end": "stopped", "detail": "after step 1, as asked"}
    verdict = lab_parity.compare(written(tmp_path / "a", 2, **end), written(tmp_path / "b", 2, **end))  # type: ignore[arg-type]
    assert (verdict.rung, verdict.coverage.steps) == ("identical", 2)
    assert "both runs were ended after step 1, as asked: what comes later was not compared" in verdict.notes


def test_environments_that_differ_are_listed(tmp_path: Path) -> None:
    """A thread count alone can change bits."""
    verdict = lab_parity.compare(written(tmp_path / "a", 1), written(tmp_path / "b", 1, environment="2"))
    assert verdict.environment == {"threads": ("1", "2")}


def test_a_generator_that_nobody_seeded_does_not_part_two_runs(recorded: Recorded) -> None:
    """Some library draws from Python's clock-seeded generator; that is noted."""
    import random

    state = random.getstate()
    try:
        legacy = recorded("a")
        random.seed()
        verdict = lab_parity.compare(legacy, recorded("b", on_step=lambda step: random.random()))
        assert verdict.rung == "identical"
        assert any("python" in note for note in verdict.notes)
    finally:
        random.setstate(state)


def test_a_seeded_generator_parts_two_runs_after_one_draw(recorded: Recorded) -> None:
    """The same draw after `random.seed` is a difference."""
    import random

    def seed(step: int) -> None:
        if step == 0:
            random.seed(3)

    def seed_and_draw(step: int) -> None:
        seed(step)
        random.random()

    state = random.getstate()
    try:
        verdict = lab_parity.compare(recorded("a", on_step=seed), recorded("b", on_step=seed_and_draw))
        assert verdict.first is not None
        assert (verdict.first.step, verdict.first.phase, verdict.first.tensor) == (1, "rng", "python state")
    finally:
        random.setstate(state)


def test_one_draw_from_a_generator_that_was_equal_parts_two_runs(recorded: Recorded) -> None:
    """Seeded before the recordings began, so nobody saw the seed; equal states at the start are evidence enough."""
    import numpy as np

    verdict = lab_parity.compare(recorded("a"), recorded("b", on_step=lambda step: np.random.rand()))
    assert verdict.first is not None
    assert (verdict.first.step, verdict.first.phase, verdict.first.tensor) == (1, "rng", "numpy state")


@pytest.mark.parametrize("other", [{}, {"lr": 0.1}, {"seed": 1}, {"steps": 0}])
def test_a_verdict_fits_a_screen_and_json(recorded: Recorded, other: dict[str, Any]) -> None:
    """The rung comes first; 24 lines of 100 columns hold everything."""
    verdict = lab_parity.compare(recorded("a"), recorded("b", **other))
    console = Console(width=100, file=io.StringIO())
    with console.capture() as capture:
        console.print(render(verdict))
    text = capture.get()
    assert text.startswith(verdict.rung.upper())
    assert len(text.splitlines()) <= 24
    parsed = json.loads(json.dumps(verdict.to_dict()))
    assert parsed["rung"] == verdict.rung
    assert parsed["exit_code"] == verdict.exit_code


def test_other_numbers_of_ranks_are_no_divergence(tmp_path: Path) -> None:
    """Of one training a rank sees another share of the batches: what rank 0 shows first is a note."""
    for ranks in (1, 2):
        for rank in range(ranks):
            writer = TraceWriter(rank_path(tmp_path / f"{ranks}.trace", rank), {"ranks": str(ranks)})
            rows = [Row(Key("batch", 0, "call 0 argument 0", ""), bytes([ranks] * 16))]
            writer.step(rows, optimizer="opt0", micro_steps=1)
            writer.close(End("finished", ""))
    verdict = lab_parity.compare(tmp_path / "1.trace", tmp_path / "2.trace")
    assert (verdict.rung, verdict.first) == ("inconclusive", None)
    assert any(reason.startswith("1 ranks on one side, 2 on the other") for reason in verdict.reasons)
    assert verdict.notes[0].startswith("rank 0 by itself: First difference at step 0, micro-step 0, phase batch")


def test_what_differs_in_the_first_step_is_told_by_what_and_not_by_fingerprints(recorded: Recorded) -> None:
    """A line for all tensors that differ alike; settings with their values."""
    verdict = lab_parity.compare(recorded("a"), recorded("b", lr=0.02))
    assert verdict.details.splitlines()[0] == (
        "optimizer lr: 0.01 against 0.02 (body.0.weight, body.0.bias, body.1.weight, …)"
    )
    assert verdict.details.splitlines()[1].startswith("param: other bits (")
    assert len(verdict.details.splitlines()) == 2
