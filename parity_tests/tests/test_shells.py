"""What a framework's shell holds besides what an optimizer trains: a copy of a part, a frozen body."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_value_

import lab_parity
from lab_parity.trace import Step
from small_networks import Shell, network


def momentum(path: Path, *, held: bool, decay: float = 0.9) -> Path:
    """A backbone and a predictor, of which the backbone alone has an average; recorded."""
    torch.manual_seed(0)
    backbone, predictor = network(3, 2), network(2, 2)
    target = copy.deepcopy(backbone).requires_grad_(False)
    shell = Shell(backbone=backbone, predictor=predictor, momentum=target) if held else None
    optimizer = torch.optim.SGD([*backbone.parameters(), *predictor.parameters()], lr=0.1)
    with lab_parity.record(path, capture=range(4)):
        for _ in range(4):
            x = torch.randn(6, 3)
            with torch.no_grad():
                wanted = target(x + 1)
            optimizer.zero_grad()
            (predictor(backbone(x)) - wanted).square().mean().backward()
            optimizer.step()
            with torch.no_grad():
                for mine, other in zip(target.parameters(), backbone.parameters(), strict=True):
                    mine.lerp_(other, 1 - decay)
    del shell
    return path


def tuned(path: Path, *, held: bool, frozen: bool = False) -> Path:
    """A head on a body that only gathers statistics; the shell of an earlier training is still alive."""
    torch.manual_seed(0)
    net = Shell(body=network(3, 2), head=nn.Linear(2, 2))
    shells = [Shell(net=net), Shell(net=net)] if held else None
    optimizer = torch.optim.SGD(net.head.parameters(), lr=0.1)
    net.body.train(not frozen)
    with lab_parity.record(path):
        for _ in range(3):
            optimizer.zero_grad()
            x = torch.randn(6, 3)
            with torch.no_grad():
                net.body(x)
            net.head(x[:, :2]).square().mean().backward()
            optimizer.step()
    del shells
    return path


@pytest.mark.parametrize("held", [False, True])
def test_an_average_of_a_part_of_what_is_trained_is_followed(tmp_path: Path, held: bool) -> None:
    """A shell that holds everything has no copy; its backbone has."""
    verdict = lab_parity.compare(momentum(tmp_path / "a", held=False), momentum(tmp_path / "b", held=held))
    assert (verdict.rung, verdict.reasons) == ("identical", ())
    assert not any("average" in note for note in verdict.notes)
    cause = lab_parity.diagnose(tmp_path / "a", momentum(tmp_path / "c", held=held, decay=0.91))
    assert cause is not None
    assert (cause.name, cause.size) == ("ema", pytest.approx(0.91, abs=1e-4))


def test_statistics_of_a_frozen_body_are_compared_beside_the_head(tmp_path: Path) -> None:
    """Whatever holds both, and however often."""
    verdict = lab_parity.compare(tuned(tmp_path / "a", held=False), tuned(tmp_path / "b", held=True))
    assert (verdict.rung, verdict.reasons, verdict.notes) == ("identical", (), ())
    wrong = lab_parity.compare(tmp_path / "a", tuned(tmp_path / "c", held=True, frozen=True)).first
    assert wrong is not None
    assert (wrong.step, wrong.tensor) == (0, "body.1.running_mean")


def test_the_recorders_own_copies_are_no_average(tmp_path: Path) -> None:
    """It keeps some until an optimizer is known, and looks again where gradients are clipped."""
    torch.manual_seed(0)
    model = network(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lab_parity.record(tmp_path / "a"):
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.randn(6, 3)).square().mean().backward()
            clip_grad_value_(model.parameters(), 0.1)
            optimizer.step()
    steps = [step for step in lab_parity.read(tmp_path / "a").steps() if isinstance(step, Step)]
    assert not any(key.phase == "ema" for step in steps for key in step.keys)
