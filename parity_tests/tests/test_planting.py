"""Where planted faults act, and when they have changed nothing."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import lab_parity
from lab_parity.plant import PLANTED, causes_of, fault_names, is_told_beforehand, plant
from lab_parity.record.sites import UpdateSite

SITE = UpdateSite(f"{__name__}:Own.apply", steps=None)


class Own:
    """A home-grown optimizer."""

    def __init__(self, model: nn.Module) -> None:
        self.groups: list[dict[str, Any]] = [{"params": list(model.parameters()), "lr": 0.1}]
        self.slots: dict[Any, Any] = {}

    def apply(self) -> None:
        """Gradient descent."""
        with torch.no_grad():
            for parameter in self.groups[0]["params"]:
                parameter -= self.groups[0]["lr"] * parameter.grad


class Front(torch.optim.Optimizer):
    """What a scaler is given for an optimizer: it has no settings."""

    def __init__(self, own: Own) -> None:
        super().__init__(own.groups[0]["params"], {})
        self.own = own

    def step(self, closure: Any = None) -> Any:
        """The home-grown update."""
        self.own.apply()


def train(path: Path, steps: int = 4, rate: float = 0.1) -> None:
    """Recorded; the update lies inside one of torch's."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    own = Own(model)
    own.groups[0]["lr"] = rate
    front = Front(own)
    with lab_parity.record(path, sites=[SITE]):
        for _ in range(steps):
            model.zero_grad()
            model(torch.randn(4, 3)).square().mean().backward()
            front.step()


@pytest.mark.parametrize("fault", ["decay", "frozen", "lr", "precision", "ulp"])
def test_inside_a_front_without_settings_the_home_grown_update_is_at_fault(fault: str, tmp_path: Path) -> None:
    """The front has no learning rate, which ended the self-test; and what was done behind its step came a step late."""
    train(tmp_path / "a")
    with plant(fault, 2, [SITE]):
        train(tmp_path / "b")
    first = lab_parity.compare(tmp_path / "a", tmp_path / "b").first
    assert first is not None
    assert (first.step, first.phase) == (2, "optimizer" if fault == "lr" else "param")


@pytest.mark.parametrize("fault", ["decay", "frozen", "lr"])
def test_a_fault_that_a_rate_of_zero_hides_is_not_said_to_be_planted(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The self-test called it missed."""
    monkeypatch.setenv(PLANTED, str(tmp_path / "mark"))
    train(tmp_path / "a", rate=0.0)
    with plant(fault, 2, [SITE]):
        train(tmp_path / "b", rate=0.0)
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").rung == "identical"
    assert not (tmp_path / "mark").exists()


def test_a_dry_run_changes_nothing_and_tells_what_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model without dropout has no mode to mistake; its biases can decay."""
    told = [fault for fault in fault_names() if is_told_beforehand(fault)]
    assert {"batch", "decay", "mode", "order"} <= set(told)
    monkeypatch.setenv(PLANTED, str(tmp_path / "mark"))
    train(tmp_path / "a")
    with contextlib.ExitStack() as planted:
        for fault in told:
            planted.enter_context(plant(f"?{fault}", 2, [SITE]))
        train(tmp_path / "b")
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").rung == "identical"
    assert set((tmp_path / "mark").read_text().split()) == set(told) - {"mode"}


def test_clipping_by_value_after_a_clip_by_norm_is_named(tmp_path: Path) -> None:
    """What both do to the gradients first hid what one of them does then."""

    def run(path: Path) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with lab_parity.record(path, capture=[1, 2, 3]):
            for _ in range(4):
                optimizer.zero_grad()
                model(torch.randn(4, 3)).square().mean().backward()
                gradients = [parameter.grad for parameter in model.parameters()]
                length = torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm()
                for gradient in gradients:
                    assert gradient is not None
                    gradient *= 0.01 / length
                optimizer.step()

    run(tmp_path / "a")
    with plant("clip", 2):
        run(tmp_path / "b")
    cause = lab_parity.diagnose(tmp_path / "a", tmp_path / "b")
    assert cause is not None
    assert cause.name in causes_of("clip"), cause.sentence
    assert "The migrated run clips each element at" in cause.sentence
