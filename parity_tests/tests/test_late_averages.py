"""Averages of the parameters that are no copy of them when their optimizer begins: loaded ones, and ones made later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import lab_parity

Kept = dict[str, Tensor] | list[Tensor] | nn.Module


def loaded(model: nn.Module) -> dict[str, Tensor]:
    """As from a checkpoint: near the parameters, no copy."""
    generator = torch.Generator().manual_seed(3)
    return {name: p.detach() + 0.05 * torch.randn(p.shape, generator=generator) for name, p in model.named_parameters()}


def as_list(model: nn.Module) -> list[Tensor]:
    """In the parameters' order."""
    return list(loaded(model).values())


def as_module(model: nn.Module) -> nn.Module:
    """A model of the same layers."""
    average = network().requires_grad_(False)
    average.load_state_dict(loaded(model))
    return average


def network() -> nn.Module:
    """(B, 4) -> (B, 1)."""
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))


def tensors(kept: Kept) -> list[Tensor]:
    """In the parameters' order."""
    if isinstance(kept, nn.Module):
        return list(kept.parameters())
    return list(kept.values()) if isinstance(kept, dict) else kept


def averaged(path: Path, make: Callable[[nn.Module], Kept], decay: float, begins: int = 0, steps: int = 8) -> Kept:
    """Recorded steps of a model whose average is made behind step `begins`."""
    torch.manual_seed(0)
    model = network()
    kept = None if begins else make(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lab_parity.record(path, capture=range(steps)):
        for step in range(steps):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            if begins == step > 0:
                kept = make(model)
            if kept is not None:
                with torch.no_grad():
                    for mine, parameter in zip(tensors(kept), model.parameters(), strict=True):
                        mine.lerp_(parameter, 1 - decay)
    assert kept is not None
    return kept


@pytest.mark.parametrize("make", [loaded, as_list, as_module])
def test_an_average_that_was_loaded_is_compared(tmp_path: Path, make: Callable[[nn.Module], Kept]) -> None:
    """It was seen by nobody, and another decay of it was `identical`."""
    kept = [averaged(tmp_path / name, make, decay) for name, decay in (("a", 0.9), ("b", 0.9), ("c", 0.8))]
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").rung == "identical"
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "c")
    assert verdict.first is not None, verdict
    assert (verdict.first.step, verdict.first.phase) == (2, "ema")
    found = lab_parity.diagnose(tmp_path / "a", tmp_path / "c", verdict=verdict)
    assert found is not None
    assert found.name == "ema", found.sentence
    assert len(kept) == 3


def test_an_average_that_begins_in_the_middle_of_a_training_is_compared(tmp_path: Path) -> None:
    """The looks become rarer: one that begins behind step 4 is found before step 5, and followed from the next on."""
    kept = [averaged(tmp_path / name, loaded, decay, 4, 8) for name, decay in (("a", 0.9), ("b", 0.9), ("c", 0.8))]
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").rung == "identical"
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "c")
    assert verdict.first is not None, verdict
    assert (verdict.first.step, verdict.first.phase) == (6, "ema")
    assert len(kept) == 3


def test_a_short_run_cannot_say_that_its_late_averages_agree(tmp_path: Path) -> None:
    """One that begins behind the last look, and is another one at the end."""
    kept = [averaged(tmp_path / name, loaded, decay, 5) for name, decay in (("a", 0.9), ("b", 0.9), ("c", 0.8))]
    assert lab_parity.compare(tmp_path / "a", tmp_path / "b").rung == "identical"
    verdict = lab_parity.compare(tmp_path / "a", tmp_path / "c")
    assert verdict.rung == "inconclusive"
    assert "an average that begins late" in verdict.reasons[0]
    assert len(kept) == 3


def test_a_momentum_in_a_dict_is_no_average(tmp_path: Path) -> None:
    """It lies beside the parameters, under their names, in one run alone: that is no reason to doubt."""

    def train(path: Path, own: bool) -> None:
        torch.manual_seed(0)
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        velocity = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
        with lab_parity.record(path):
            for _ in range(12):
                model.zero_grad()
                model(torch.randn(8, 4)).square().mean().backward()
                if not own:
                    optimizer.step()
                    continue
                with torch.no_grad():
                    for name, p in model.named_parameters():
                        assert p.grad is not None
                        velocity[name].mul_(0.9).add_(p.grad)
                        p.add_(velocity[name], alpha=-0.1)

    train(tmp_path / "torch", own=False)
    train(tmp_path / "own", own=True)
    for sides in (("torch", "own"), ("own", "torch")):
        verdict = lab_parity.compare(*(tmp_path / side for side in sides))
        assert verdict.rung == "identical", verdict
