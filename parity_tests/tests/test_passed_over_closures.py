"""Optimizers that are given a closure and pass it over: Lightning gives one to each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

import lab_parity

STEPS = 3


class Halving(torch.optim.Optimizer):
    """It halves its gradients in place, as K-FAC rescales them, and asks nothing of a closure."""

    def __init__(self, params: Any, factor: float = 0.5) -> None:
        super().__init__(params, {"lr": 0.1})
        self.factor = factor

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One that leaves changed gradients behind."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad.mul_(self.factor)
                parameter.sub_(parameter.grad, alpha=group["lr"])


def trained(path: Path, closure: Callable[[], Any] | None, factor: float = 0.5) -> Path:
    """A small training whose optimizer may be given a closure."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    with lab_parity.record(path):
        steps = Halving(model.parameters(), factor)
        for _ in range(STEPS):
            steps.zero_grad()
            model(torch.ones(2, 3)).mean().backward()
            steps.step(closure) if closure is not None else steps.step()
    return path


def test_a_step_whose_closure_is_passed_over_is_a_step(tmp_path: Path) -> None:
    """With the gradients that it began with; an idiomatic K-FAC was said to have trained nothing."""
    plain = trained(tmp_path / "plain", None)
    given = lab_parity.compare(plain, trained(tmp_path / "given", lambda: None))
    assert (given.rung, given.coverage.steps) == ("identical", STEPS)
    other = lab_parity.compare(plain, trained(tmp_path / "other", lambda: None, 0.51)).first
    assert other is not None
    assert (other.step, other.phase) == (0, "param")
