"""Settings that no parameter group tells: what one step of a known update rule says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import lab_parity
from lab_parity.record.phases import hyper

Settings = dict[str, Any]
CASES: list[tuple[str, Settings, Settings, int, tuple[str, str, float | None]]] = [
    ("ASGD", {}, {"lambd": 1e-3}, 0, ("setting", "lambd", 1e-3)),
    ("ASGD", {}, {"weight_decay": 1e-2}, 2, ("setting", "weight decay", 1.01e-2)),
    ("ASGD", {}, {"t0": 2}, 0, ("setting", "t0", 2)),
    ("ASGD", {}, {"lr": 0.101}, 0, ("lr", "eta", 0.101)),
    ("Rprop", {}, {"lr": 0.11}, 0, ("lr", "lr", 0.11)),
    ("Rprop", {}, {"etas": (0.5, 1.3)}, 3, ("setting", "etaplus", 1.3)),
    ("Rprop", {}, {"etas": (0.6, 1.2)}, 3, ("setting", "etaminus", 0.6)),
    # On the second step all are alike: by a factor or up to a bound, nobody can tell.
    ("Rprop", {}, {"step_sizes": (1e-6, 0.11)}, 0, ("setting", "by etaplus, or up to its bound", 0.11)),
    ("Rprop", {}, {"step_sizes": (1e-6, 0.11)}, 3, ("setting", "the largest step size", 0.11)),
    ("Adadelta", {}, {"eps": 1e-5}, 3, ("epsilon", "eps", 1e-5)),
    ("Adagrad", {}, {"eps": 1e-6}, 3, ("epsilon", "eps", 1e-6)),
    ("Adagrad", {}, {"initial_accumulator_value": 0.1}, 0, ("state", "sum", 0.1)),
    ("Adagrad", {}, {"weight_decay": 0.01}, 3, ("decay", "weight decay", 0.01)),
    ("Adagrad", {}, {"lr_decay": 0.01}, 0, ("lr", "learning rate", 1 / 1.01)),
    ("NAdam", {}, {"momentum_decay": 8e-3}, 3, ("setting", "momentum_decay", 8e-3)),
    ("NAdam", {}, {"eps": 1e-5}, 3, ("epsilon", "eps", 1e-5)),
    ("Adamax", {}, {"betas": (0.9, 0.99)}, 0, ("betas", "beta2", 0.99)),
    ("Adamax", {}, {"eps": 1e-4}, 0, ("epsilon", "eps", 1e-4)),
    ("RMSprop", {}, {"eps": 1e-6}, 0, ("epsilon", "eps", 1e-6)),
    ("RMSprop", {}, {"centered": True}, 0, ("setting", "centered", None)),
    ("RMSprop", {}, {"momentum": 0.5}, 0, ("setting", "momentum", None)),
    ("RMSprop", {"momentum": 0.8}, {"momentum": 0.9}, 0, ("momentum", "momentum", 0.9)),
    ("RMSprop", {"momentum": 0.8}, {"momentum": 0.81}, 2, ("momentum", "momentum", 0.81)),
    ("RMSprop", {"momentum": 0.8}, {"alpha": 0.9}, 2, ("betas", "betas", 0.9)),
    ("Adam", {}, {"amsgrad": True}, 0, ("setting", "amsgrad", None)),
    # Before the bias correction, as torch's RAdam has it; from its sixth step on.
    ("RAdam", {}, {"eps": 1e-5}, 0, ("epsilon", "epsilon", 1e-5)),
]


def train(path: Path, name: str, settings: Settings, change: Settings, at: int, steps: int) -> Path:
    """Settings change at a step; nobody shows them."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 1, bias=False))
    given = {"lr": 0.1} | settings | (change if not at else {})
    optimizer = getattr(torch.optim, name)(net.parameters(), **given)
    with lab_parity.record(path, capture=range(steps)):
        for step in range(steps):
            if step == at > 0:
                optimizer.param_groups[0].update(change)
            optimizer.zero_grad()
            net(torch.randn(16, 6)).square().mean().backward()
            optimizer.step()
    return path


@pytest.mark.parametrize(("name", "base", "change", "at", "expected"), CASES)
def test_a_setting_that_nobody_tells_is_told_by_its_rule(
    name: str,
    base: Settings,
    change: Settings,
    at: int,
    expected: tuple[str, str, float | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """These were unknown, or a momentum of -1e-5 of ASGD's average, or an epsilon a hundred times too large."""
    every = getattr(torch.optim, name)([nn.Parameter(torch.ones(1))], lr=0.1).defaults
    monkeypatch.setattr(hyper, "_NOT_NUMERICS", hyper._NOT_NUMERICS | set(every))
    steps = 6 if name == "RAdam" else 4
    a = train(tmp_path / "a", name, base, {}, 0, steps)
    b = train(tmp_path / "b", name, base, change, at, steps)
    found = lab_parity.diagnose(a, b)
    assert found is not None
    called, setting, size = expected
    assert found.name == called, found.sentence
    assert setting in found.setting, found.sentence
    assert found.holds
    if size is not None:
        assert found.size == pytest.approx(size, rel=1e-2), found.sentence
