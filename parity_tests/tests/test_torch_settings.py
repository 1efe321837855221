"""Settings of torch's optimizers, each changed alone: found in the optimizer's phase, and called by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import lab_parity
from lab_parity.record.phases import hyper

CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("ASGD", {}, {"lambd": 1.001e-4}, "setting"),
    ("ASGD", {}, {"alpha": 0.7507}, "betas"),
    ("ASGD", {}, {"t0": 2.0}, "setting"),
    ("Rprop", {}, {"etas": (0.5, 1.2012)}, "setting"),
    ("Rprop", {}, {"step_sizes": (1e-6, 49.9)}, "setting"),
    ("Adamax", {}, {"betas": (0.9009, 0.999)}, "betas"),
    ("NAdam", {}, {"momentum_decay": 0.004004}, "setting"),
    ("NAdam", {"weight_decay": 0.1}, {"decoupled_weight_decay": True}, "decay"),
    ("RAdam", {"weight_decay": 0.1}, {"decoupled_weight_decay": True}, "decay"),
    ("Adadelta", {}, {"rho": 0.9009}, "betas"),
    ("Adagrad", {}, {"lr_decay": 1e-4}, "setting"),
    ("Adagrad", {}, {"initial_accumulator_value": 1e-3}, "setting"),
    ("Adam", {}, {"amsgrad": True}, "setting"),
    ("AdamW", {}, {"maximize": True}, "setting"),
    ("SGD", {"momentum": 0.9}, {"nesterov": True}, "momentum_form"),
    ("SGD", {"momentum": 0.9}, {"dampening": 1e-3}, "momentum_form"),
    ("RMSprop", {}, {"centered": True}, "setting"),
    ("Muon", {}, {"ns_steps": 4}, "setting"),
    ("Adafactor", {}, {"beta2_decay": -0.7}, "setting"),
]


def train(path: Path, name: str, settings: dict[str, Any], steps: int = 2, rate: float = 0.1) -> Path:
    """A small net without biases, which Muon does not take."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 1, bias=False))
    optimizer = getattr(torch.optim, name)(net.parameters(), lr=rate, **settings)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = net(batch).square().mean()
        loss.backward()
        return loss

    with lab_parity.record(path, capture=range(steps)):
        for _ in range(steps):
            batch = torch.randn(16, 6)
            if name == "LBFGS":
                optimizer.step(closure)
            else:
                closure()
                optimizer.step()
    return path


def cause(tmp_path: Path, name: str, base: dict[str, Any], change: dict[str, Any], steps: int = 2) -> lab_parity.Cause:
    """Of two trainings, the second one with another setting."""
    a, b = train(tmp_path / "a", name, base, steps), train(tmp_path / "b", name, base | change, steps)
    found = lab_parity.diagnose(a, b)
    assert found is not None
    return found


@pytest.mark.sampled
@pytest.mark.parametrize(("name", "base", "change", "expected"), CASES)
def test_a_setting_is_called_by_its_name(
    name: str, base: dict[str, Any], change: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    """A thousandth of it, too."""
    found = cause(tmp_path, name, base, change)
    assert (found.name, found.setting, found.confidence) == (expected, *change, "read")
    first = lab_parity.compare(tmp_path / "a", tmp_path / "b").first
    assert first is not None
    assert (first.step, first.phase) == (0, "optimizer")


@pytest.mark.parametrize("name", ["SGD", "Adamax", "Adam"])
def test_foreach_alone_is_no_other_training(name: str, tmp_path: Path) -> None:
    """It is no setting of the numerics, and its kernels round alike."""
    a, b = train(tmp_path / "a", name, {"foreach": False}), train(tmp_path / "b", name, {"foreach": True})
    assert lab_parity.compare(a, b).rung == "identical"


def test_a_momentum_that_another_kernel_rounds_is_not_said_to_have_the_rate_inside(tmp_path: Path) -> None:
    """The buffer was "1 times the legacy one and the update is the same"."""
    a, b = (train(tmp_path / name, "SGD", {"momentum": 0.9, "fused": name == "b"}, 4) for name in "ab")
    found = lab_parity.diagnose(a, b)
    if found is not None:  # kernels of some machines round alike
        assert found.name in ("setting", "rounding"), found.sentence


@pytest.mark.parametrize("base", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}])
def test_an_ascent_that_nobody_tells_is_named(
    base: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a learning rate, or a dampening of 2."""
    monkeypatch.setattr(hyper, "_NOT_NUMERICS", hyper._NOT_NUMERICS | {"maximize"})
    found = cause(tmp_path, "SGD", base, {"maximize": True})
    assert (found.name, found.setting, found.size) == ("setting", "maximize", -1.0), found.sentence


def test_a_rate_that_shows_between_evaluations_is_named_by_the_setting(tmp_path: Path) -> None:
    """That the parameters have moved 1.001 times as far was all that was said."""
    a = train(tmp_path / "a", "LBFGS", {"max_iter": 4}, rate=0.5)
    b = train(tmp_path / "b", "LBFGS", {"max_iter": 4}, rate=0.5005)
    found = lab_parity.diagnose(a, b)
    assert found is not None
    assert (found.name, found.setting) == ("lr", "lr")
    assert found.size is not None
    assert abs(found.size - 1.001) < 1e-5


def test_settings_that_follow_from_one_another_are_told_together(tmp_path: Path) -> None:
    """LBFGS' max_eval alone was named, which the program had never set."""
    found = cause(tmp_path, "LBFGS", {"max_iter": 4}, {"max_iter": 3})
    assert (found.name, found.setting) == ("setting", "max_eval, max_iter")
    assert "max_iter is 3 instead of 4" in found.sentence
