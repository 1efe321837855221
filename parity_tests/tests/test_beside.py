"""What is called beside a step's training, and in which mode: a generator's fakes, a teacher, an evaluation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import lab_parity
from small_networks import Shell, network


def gan(path: Path, *, held: bool = False, fakes: bool = True, critic: bool = True) -> Path:
    """A critic's step and a generator's, in turns; whether each of the two trains where the other one is updated."""
    torch.manual_seed(0)
    maker, judge = network(2, 3), network(3, 1)
    holder = Shell(maker=maker, judge=judge) if held else None
    mine, other = (torch.optim.SGD(part.parameters(), lr=0.1) for part in (judge, maker))
    with lab_parity.record(path, capture=range(4)):
        for _ in range(2):
            with torch.no_grad():
                fake = maker.train(fakes)(torch.randn(6, 2))
            maker.train()
            mine.zero_grad()
            (judge(fake).mean() - judge(torch.randn(6, 3)).mean()).backward()
            mine.step()
            judge.train(critic)
            other.zero_grad()
            judge(maker(torch.randn(6, 2))).mean().backward()
            judge.train()
            other.step()
    del holder
    return path


def taught(path: Path, *, held: bool = False, trains: bool = True) -> Path:
    """A student of a teacher that is called without a graph."""
    torch.manual_seed(0)
    student = network(3, 2)
    teacher = copy.deepcopy(student)
    holder = Shell(student=student, teacher=teacher) if held else None
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    with lab_parity.record(path, capture=range(2)):
        for _ in range(2):
            x = torch.randn(6, 3)
            with torch.no_grad():
                wanted = teacher.train(trains)(x + 1)
            optimizer.zero_grad()
            (student(x) - wanted).square().mean().backward()
            optimizer.step()
    del holder
    return path


def evaluated(path: Path, *, evaluates: bool = True, graph: bool = False) -> Path:
    """One that is evaluated after each step."""
    torch.manual_seed(0)
    model = network(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lab_parity.record(path, capture=range(3)):
        for _ in range(3):
            optimizer.zero_grad()
            model.train()(torch.randn(6, 3)).square().mean().backward()
            optimizer.step()
            with torch.set_grad_enabled(graph):
                model.train(not evaluates)(torch.ones(4, 3))
    return path


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize(
    ("wrong", "step"),
    [
        (lambda path, held: gan(path, held=held, fakes=False), 0),
        (lambda path, held: gan(path, held=held, critic=False), 1),
    ],
)
def test_the_mode_of_what_another_optimizer_trains_is_named(
    tmp_path: Path, held: bool, wrong: Callable[[Path, bool], Path], step: int
) -> None:
    """Whether a holder has it, or it stands by itself."""
    pair = gan(tmp_path / "a"), wrong(tmp_path / "b", held)
    cause = lab_parity.diagnose(*pair)
    first = lab_parity.compare(*pair).first
    assert cause is not None
    assert first is not None
    assert (cause.name, first.step) == ("mode", step)
    assert "evaluation mode" in cause.sentence


@pytest.mark.parametrize("held", [False, True])
def test_the_mode_of_a_teacher_is_named(tmp_path: Path, held: bool) -> None:
    """It is called without a graph, and feeds the loss."""
    cause = lab_parity.diagnose(taught(tmp_path / "a"), taught(tmp_path / "b", held=held, trains=False))
    assert cause is not None
    assert (cause.name, "BatchNorm1d" in cause.sentence) == ("mode", True)


@pytest.mark.parametrize("graph", [False, True])
def test_a_forgotten_eval_that_moves_statistics_is_named(tmp_path: Path, graph: bool) -> None:
    """The statistics change between the steps, and in a mode that the legacy evaluation does not have."""
    pair = evaluated(tmp_path / "a", graph=graph), evaluated(tmp_path / "b", evaluates=False, graph=graph)
    cause = lab_parity.diagnose(*pair)
    assert cause is not None
    assert {cause.name, *(other.name for other in cause.others)} >= {"mode", "between_steps"}


def test_equal_modes_are_no_cause(tmp_path: Path) -> None:
    """What else is wrong keeps its name."""
    for path, held in ((tmp_path / "a", False), (tmp_path / "b", True)):
        gan(path, held=held)
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").rung == "identical"
    assert lab_parity.diagnose(tmp_path / "a", tmp_path / "b") is None
