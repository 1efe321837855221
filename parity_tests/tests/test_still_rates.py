"""Learning rates of 0: an optimizer that is known shows one, an update by hand changes nothing and is no step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import lab_parity

Rate = Callable[[int], float]


def trained(path: Path, rate: Rate, by_hand: bool) -> Path:
    """Recorded steps of plain descent."""
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with lab_parity.record(path, capture=range(2)):
        for step in range(3):
            model.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.param_groups[0]["lr"] = rate(step)
            if not by_hand:
                optimizer.step()
                continue
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter.data.add_(parameter.grad, alpha=-rate(step))
    return path


def test_a_learning_rate_of_0_is_said(tmp_path: Path) -> None:
    """Of an update by hand as what may have happened; it was "accumulation" alone, and `inf` times the legacy rate."""
    rates: dict[str, Rate] = {
        "still": lambda step: 0.0, "warmed": lambda step: 0.1 * step, "ended": lambda step: 0.1 * (step < 2),
    }  # fmt: skip

    def run(name: str, by_hand: bool) -> Path:
        return trained(tmp_path / f"{name}-{by_hand}.trace", rates[name], by_hand)

    def said(a: Path, b: Path) -> str:
        cause = lab_parity.diagnose(a, b)
        assert cause is not None
        return cause.sentence

    still, warmed, warmed_by_hand = run("still", True), run("warmed", False), run("warmed", True)
    assert said(run("still", False), warmed).startswith("The learning rate is 0.1 instead of 0 on all")
    assert "a learning rate of 0" in said(warmed_by_hand, still)
    assert "at a learning rate of 0: that is no step" in said(warmed_by_hand, warmed)
    assert "at a learning rate of 0, is no step" in said(run("ended", True), run("ended", False))
    verdict = lab_parity.compare(still, still)
    assert verdict.rung == "inconclusive"
    assert "not at a learning rate of 0" in verdict.reasons[0]
