"""How much is recorded: summaries on demand, one of N steps on demand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lab_parity
from lab_parity import Scope
from lab_parity.plant import plant
from lab_parity.sketch import BUCKETS, distance
from lab_parity.trace import Step

Train = Callable[..., Any]


def recorded(train: Train, path: Path, scope: Scope, **settings: Any) -> list[Step]:
    """The steps of a training under a scope."""
    with lab_parity.record(path, scope=scope):
        train(**settings)
    return [item for item in lab_parity.read(path).steps() if isinstance(item, Step)]


def test_statistics_stand_beside_the_same_digests(train: Train, tmp_path: Path) -> None:
    """For batches, losses, gradients, state, parameters and buffers; what is no tensor has none."""
    plain = recorded(train, tmp_path / "a", Scope())
    rich = recorded(train, tmp_path / "b", Scope(buckets=BUCKETS))
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").rung == "identical"
    assert plain[0].summaries is None
    for step in rich:
        assert step.summaries is not None
        has = ~np.isnan(step.summaries[:, 0])
        phases = {key.phase for key, there in zip(step.keys, has, strict=True) if there}
        assert phases <= {"batch", "config", "grad", "loss", "optimizer", "param", "buffer"}
        assert {"grad", "optimizer", "param", "buffer"} <= phases


def test_the_distance_of_two_runs_is_that_of_their_weights(train: Train, tmp_path: Path) -> None:
    """Read from the traces alone; every tensor here has fewer elements than the sketch has buckets."""
    states = []
    for name, lr in (("a", 0.01), ("b", 0.02)):
        with lab_parity.record(tmp_path / name, scope=Scope(buckets=BUCKETS)):
            states.append(train(lr=lr))
    ends = [[item for item in lab_parity.read(tmp_path / name).steps() if isinstance(item, Step)][-1] for name in "ab"]
    assert ends[0].summaries is not None
    assert ends[1].summaries is not None
    found = distance(ends[0].summaries, ends[1].summaries)
    for place, key in enumerate(ends[0].keys):
        if key.phase == "param":
            true = float((states[0][key.name].double() - states[1][key.name].double()).norm())
            assert found[place] == pytest.approx(true)


def test_one_of_three_steps_is_recorded_whole(train: Train, tmp_path: Path) -> None:
    """Steps 0, 3 and 6 of 8, equal to those of a full recording, micro-steps and all; the end counts all 8."""
    full = {step.step: step for step in recorded(train, tmp_path / "a", Scope(), steps=8)}
    some = recorded(train, tmp_path / "b", Scope(every=3), steps=8)
    assert [step.step for step in some] == [0, 3, 6]
    for step in some:
        assert step.micro_steps == 2
        assert list(step.keys) == list(full[step.step].keys)
        assert (step.digests == full[step.step].digests).all()
    assert lab_parity.read(tmp_path / "b").end().taken == 8


def test_two_optimizers_that_take_turns_are_both_recorded(tmp_path: Path) -> None:
    """One of every two steps of each, not of all together."""
    torch.manual_seed(0)
    models = [torch.nn.Linear(2, 1) for _ in range(2)]
    steppers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
    with lab_parity.record(tmp_path / "a", scope=Scope(every=2)):
        for _ in range(4):
            for model, stepper in zip(models, steppers, strict=True):
                stepper.zero_grad()
                model(torch.ones(3, 2)).mean().backward()
                stepper.step()
    steps = [item for item in lab_parity.read(tmp_path / "a").steps() if isinstance(item, Step)]
    assert [(step.step, step.optimizer) for step in steps] == [(0, "opt0"), (1, "opt1"), (4, "opt0"), (5, "opt1")]
    assert [step.micro_steps for step in steps[2:]] == [1, 1]


def test_a_difference_between_recorded_steps_shows_at_the_next(train: Train, tmp_path: Path) -> None:
    """With a note that it may be older."""
    recorded(train, tmp_path / "a", Scope(every=3), steps=8)
    with plant("lr", 4), lab_parity.record(tmp_path / "b", scope=Scope(every=3)):
        train(steps=8)
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert verdict.first is not None
    assert verdict.first.step == 6
    assert any("every 3 steps" in note for note in verdict.notes)


def test_one_unrecorded_step_more_is_a_divergence(train: Train, tmp_path: Path) -> None:
    """Both recorded steps 0, 3 and 6, and one run went on to take one more."""
    recorded(train, tmp_path / "a", Scope(every=3), steps=8)
    recorded(train, tmp_path / "b", Scope(every=3), steps=9)
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert (verdict.rung, verdict.first and verdict.first.step) == ("diverged", 8)


def test_different_rhythms_are_not_compared(train: Train, tmp_path: Path) -> None:
    """Inconclusive, with the reason."""
    recorded(train, tmp_path / "a", Scope(every=3))
    recorded(train, tmp_path / "b", Scope())
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "b")
    assert verdict.rung == "inconclusive"
    assert any("every 3 steps" in reason for reason in verdict.reasons)


def test_a_capture_needs_every_step(tmp_path: Path) -> None:
    """Refused at once."""
    with (
        pytest.raises(lab_parity.ParityError, match="every"),
        lab_parity.record(tmp_path / "a", capture=[1], scope=Scope(every=2)),
    ):
        pass
