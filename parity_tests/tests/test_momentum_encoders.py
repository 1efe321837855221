"""Momentum encoders: averaged copies inside the trained model, which a forward call updates before the first step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import lab_parity
from lab_parity import Cause


class Contrast(nn.Module):
    """Two encoders, of which the second follows the first; `keeps[step]` of the old value, None where it stays."""

    def __init__(self, keeps: list[float | None]) -> None:
        super().__init__()
        self.encoder_q, self.encoder_k = (nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 6)) for _ in "qk")
        self.encoder_k.load_state_dict(self.encoder_q.state_dict())
        self.encoder_k.requires_grad_(False)
        self._left = list(keeps)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """How unlike the two views are."""
        keep = self._left.pop(0)
        with torch.no_grad():
            if keep is not None:
                for q, k in zip(self.encoder_q.parameters(), self.encoder_k.parameters(), strict=True):
                    k.data = k.data * keep + q.data * (1 - keep)
            key = self.encoder_k(other)
        return (self.encoder_q(one) - key).square().mean()


def train(path: Path, keeps: list[float | None], every: bool) -> Path:
    """`every`: the optimizer is given all parameters, as published code does."""
    torch.manual_seed(0)
    model = Contrast(keeps)
    optimizer = torch.optim.SGD([p for p in model.parameters() if every or p.requires_grad], lr=0.1, momentum=0.9)
    with lab_parity.record(path, capture=range(len(keeps))):
        for _ in keeps:
            batch = torch.randn(4, 8)
            optimizer.zero_grad()
            model(batch, batch + 0.1 * torch.randn(4, 8)).backward()
            optimizer.step()
    return path


def cause(tmp_path: Path, keeps: list[float | None], every: bool) -> Cause:
    """Against the encoder that always keeps 0.99."""
    legacy = train(tmp_path / "a", [0.99] * len(keeps), every)
    assert lab_parity.compare(legacy, train(tmp_path / "c", [0.99] * len(keeps), every)).rung == "identical"
    found = lab_parity.diagnose(legacy, train(tmp_path / "b", keeps, every))
    assert found is not None
    assert found.name == "ema", found.sentence
    return found


@pytest.mark.parametrize("every", [False, True])
def test_an_update_that_is_forgotten_from_the_start_is_named(every: bool, tmp_path: Path) -> None:
    """It was the module whose output differs first, or initial weights that differ."""
    said = cause(tmp_path, [None] * 3, every).sentence
    assert "is not updated before the first step in the migrated run" in said


@pytest.mark.parametrize("every", [False, True])
def test_an_update_that_is_left_out_later_is_named(every: bool, tmp_path: Path) -> None:
    """Of a copy among the optimizer's own parameters, too."""
    said = cause(tmp_path, [0.99, 0.99, None, 0.99], every).sentence
    assert "is not updated after step 1 in the migrated run" in said


@pytest.mark.parametrize("every", [False, True])
def test_another_decay_is_measured(every: bool, tmp_path: Path) -> None:
    """Once it is more than rounding."""
    found = cause(tmp_path, [0.99, 0.99, 0.989, 0.99], every)
    assert found.size is not None
    assert abs(found.size - 0.989) < 1e-4
