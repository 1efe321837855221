"""A training that is resumed inside its program: model, optimizer and schedule are made anew."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

import lab_parity


def train(path: Path, *, resumed: bool = False, state: bool = True, capture: tuple[int, ...] = ()) -> Path:
    """Four steps of SGD with momentum; `resumed` after two of them, the optimizer's `state` restored or not."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    with lab_parity.record(path, capture=capture):
        for step in range(4):
            if resumed and step == 2:
                kept = copy.deepcopy((net.state_dict(), optimizer.state_dict()))
                net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
                net.load_state_dict(kept[0])
                optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
                if state:
                    optimizer.load_state_dict(kept[1])
            torch.manual_seed(step)
            optimizer.zero_grad()
            net(torch.randn(5, 3)).square().mean().backward()
            optimizer.step()
    return path


@pytest.mark.parametrize("side", ["legacy", "migrated"])
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path, side: str) -> None:
    """Its second optimizer goes on where the first has ended; it was said that another optimizer steps."""
    pair = train(tmp_path / "a", resumed=side == "legacy"), train(tmp_path / "b", resumed=side == "migrated")
    verdict = lab_parity.compare(*pair)
    assert verdict.rung == "identical"
    assert verdict.coverage.steps == 4


def test_what_a_resume_does_not_restore_is_found_and_named(tmp_path: Path) -> None:
    """The momentum begins anew: no other momentum, and no other optimizer."""
    pair = [train(tmp_path / name, resumed=name == "b", state=False, capture=(1, 2)) for name in "ab"]
    cause = lab_parity.diagnose(*pair)
    assert cause is not None
    assert cause.name == "state"
    assert "begins this step without the state that the legacy one has (momentum_buffer)" in cause.sentence
