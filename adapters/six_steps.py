"""A training of six steps, whose loss a test gives a factor, and what a checkpoint of it must give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lab_adapters import outlined

Factor = Callable[[], float]


def trained(factor: Factor, model: torch.nn.Module | None = None, optimizer: Any = None) -> list[str]:
    """The losses of six steps."""
    torch.manual_seed(0)
    model = model or torch.nn.Linear(2, 3)
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=0.1)
    said = []

    def training_step(x: Tensor) -> None:
        optimizer.zero_grad()
        loss = model(x).square().mean() * factor()
        loss.backward()
        optimizer.step()
        said.append(loss.item().hex())

    outlined.fit(training_step, torch.randn(6, 4, 2))
    return said


def resumes(checkpoint: Any, run: Callable[[], list[str]]) -> None:
    """The losses after a checkpoint are those of the whole run, none of which is another's."""
    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run) == whole
    assert len(set(whole)) == 6
