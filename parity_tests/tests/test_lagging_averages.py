"""Averages that one side updates at another place of its step: behind every step they are the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import lab_parity
from lab_parity.golden import LEVELS, compare_with_golden, export_golden
from lab_parity.trace import Step


def averaged(path: Path, place: str, *, other: bool = False) -> nn.Module:
    """Four recorded steps; the average is updated at one place of each. `other`: a model of two, trained by turns."""
    torch.manual_seed(0)
    model, critic = nn.Linear(4, 1), nn.Linear(4, 1)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    average.update_parameters(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    second = torch.optim.SGD(critic.parameters(), lr=0.1)

    def update(where: str) -> None:
        if place == where:
            average.update_parameters(model)

    with lab_parity.record(path):
        for step in range(4):
            if step:
                update("next step")
            optimizer.zero_grad()
            loss = model(torch.randn(8, 4)).square().mean()
            update("before backward")
            loss.backward()
            update("before step")
            optimizer.step()
            update("behind step")
            if other:
                second.zero_grad()
                critic(torch.randn(8, 4)).square().mean().backward()
                second.step()
            update("end of loop")
            with torch.no_grad():
                model(torch.zeros(1, 4))
        if place == "next step":
            update(place)
    return average


def test_an_average_that_is_updated_before_the_step_parts_at_the_next_steps_beginning(tmp_path: Path) -> None:
    """It agreed behind every step: `identical`, though what is evaluated and saved lags a step behind."""
    legacy = averaged(tmp_path / "legacy", "behind step")
    for place in ("before step", "before backward"):
        name = place.replace(" ", "-")
        migrated = averaged(tmp_path / name, place)
        assert not torch.equal(next(legacy.parameters()), next(migrated.parameters()))
        for sides, lags in (
            ((tmp_path / "legacy", tmp_path / name), "in the migrated run, behind it in the legacy one"),
            ((tmp_path / name, tmp_path / "legacy"), "in the legacy run, behind it in the migrated one"),
        ):
            verdict = lab_parity.compare(*sides)
            assert verdict.first is not None, verdict
            assert (verdict.first.step, verdict.first.phase) == (1, "ema")
            found = lab_parity.diagnose(*sides)
            assert found is not None
            assert found.name == "ema"
            assert f"is updated before the optimizer's step {lags}" in found.sentence


def test_an_average_that_is_updated_elsewhere_between_two_steps_is_the_same(tmp_path: Path) -> None:
    """Right behind the step, behind another optimizer's, or when the next step begins: nothing sees the difference."""
    averaged(tmp_path / "legacy", "behind step", other=True)
    for place in ("end of loop", "next step"):
        name = place.replace(" ", "-")
        averaged(tmp_path / name, place, other=True)
        verdict = lab_parity.compare(tmp_path / "legacy", tmp_path / name)
        assert (verdict.rung, verdict.notes) == ("identical", ()), verdict


def test_an_average_that_begins_behind_the_first_step_is_compared(tmp_path: Path) -> None:
    """As in many programs' own classes: no copy is there before, and no difference of it was seen."""
    kept = []
    for name, decay in (("legacy", 0.9), ("again", 0.9), ("migrated", 0.8)):
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        average: dict[str, Tensor] = {}
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with lab_parity.record(tmp_path / name):
            for _ in range(5):
                optimizer.zero_grad()
                model(torch.randn(8, 4)).square().mean().backward()
                optimizer.step()
                for path, parameter in model.named_parameters():
                    average.setdefault(path, parameter.detach().clone()).lerp_(parameter.detach(), 1 - decay)
        kept.append(average)
    assert lab_parity.compare(tmp_path / "legacy", tmp_path / "again").rung == "identical"
    verdict = lab_parity.compare(tmp_path / "legacy", tmp_path / "migrated")
    assert verdict.first is not None, verdict
    assert (verdict.first.step, verdict.first.phase) == (2, "ema")
    steps = [step for step in lab_parity.read(tmp_path / "legacy").steps() if isinstance(step, Step)]
    found = [[key.name for key in step.keys if (key.phase, key.field) == ("ema", "")] for step in steps]
    assert found == [[], *[["weight", "bias"]] * 4]


def train(path: Path, last: bool, kept: Callable[[nn.Module], object]) -> object:
    """Three steps of a model with a frozen part, whose average is updated before each, and behind the `last`."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    model[0].requires_grad_(False)
    average = kept(model)
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)

    def update() -> None:
        tensors = average.values() if isinstance(average, dict) else average.parameters()
        named = dict(model.named_parameters())
        trained = [named[name] for name in average] if isinstance(average, dict) else list(named.values())
        for mine, other in zip(tensors, trained, strict=True):
            mine.data.lerp_(other.data, 0.1)

    with lab_parity.record(path):
        for _ in range(3):
            update()
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
        if last:
            update()
    return average


def trained_alone(model: nn.Module) -> dict[str, Tensor]:
    """A copy of what is trained."""
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def test_an_average_that_misses_its_last_update_parts_behind_the_last_step(tmp_path: Path) -> None:
    """No step sees that update; what the run leaves does. A frozen part need not be in both averages."""
    kept = [train(tmp_path / "legacy", True, copy.deepcopy)]
    kept.append(train(tmp_path / "shadow", True, trained_alone))
    verdict = lab_parity.compare(tmp_path / "legacy", tmp_path / "shadow")
    assert verdict.rung == "identical", verdict
    kept.append(train(tmp_path / "migrated", False, trained_alone))
    verdict = lab_parity.compare(tmp_path / "legacy", tmp_path / "migrated")
    assert verdict.first is not None, verdict
    assert (verdict.first.step, verdict.first.phase) == (2, "ema")
    assert "that the runs leave differ" in verdict.first.what
    found = lab_parity.diagnose(tmp_path / "legacy", tmp_path / "migrated")
    assert found is not None
    assert found.name == "ema"
    assert "is not updated behind the last step (2) in the migrated run" in found.sentence


def test_a_golden_tells_of_an_average_that_lags(tmp_path: Path) -> None:
    """Also one that has a fingerprint for each phase alone."""
    for name, place in (("legacy", "behind step"), ("again", "next step"), ("migrated", "before step")):
        averaged(tmp_path / name, place)
    for level in LEVELS:
        golden = tmp_path / f"{level}.golden"
        export_golden(lab_parity.read(tmp_path / "legacy"), golden, level)
        assert compare_with_golden(golden, lab_parity.read(tmp_path / "again")).rung == "identical"
        verdict = compare_with_golden(golden, lab_parity.read(tmp_path / "migrated"))
        assert verdict.first is not None, verdict
        assert (verdict.first.step, verdict.first.phase) == (1, "ema")


def begun(path: Path, early: bool, rounds: bool) -> None:
    """Steps of an average whose first update is a copy (torch's), or `rounds` what it begins with."""
    torch.manual_seed(0)
    model = nn.Linear(4, 32)
    kept = copy.deepcopy(model) if rounds else AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def update() -> None:
        if isinstance(kept, AveragedModel):
            kept.update_parameters(model)
            return
        with torch.no_grad():
            for mine, parameter in zip(kept.parameters(), model.parameters(), strict=True):
                mine.mul_(0.9).add_(parameter, alpha=1 - 0.9)

    with lab_parity.record(path, capture=range(4)):
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            if early:
                update()
            optimizer.step()
            if not early:
                update()


def test_an_early_update_is_named_where_the_first_one_is_another(tmp_path: Path) -> None:
    """Of torch's AveragedModel, it was said to keep 0.9 instead of 0; of a rounded copy, nothing was known."""
    for rounds, step, said in (
        (False, 1, "is updated before the optimizer's step in the migrated run"),
        (True, 0, "it is updated before the optimizer's step there, or in the forward call"),
    ):
        for early in (False, True):
            begun(tmp_path / f"{rounds}{early}", early, rounds)
        sides = tmp_path / f"{rounds}False", tmp_path / f"{rounds}True"
        verdict = lab_parity.compare(*sides)
        assert verdict.first is not None, verdict
        assert (verdict.first.step, verdict.first.phase) == (step, "ema")
        found = lab_parity.diagnose(*sides, verdict=verdict)
        assert found is not None
        assert (found.name, said in found.sentence) == ("ema", True), found.sentence
