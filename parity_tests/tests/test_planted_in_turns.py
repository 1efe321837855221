"""Faults that are planted where several models take turns."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import lab_parity
from lab_parity.plant import plant


def train(path: Path) -> None:
    """A critic and its generator, which are called with tensors of other sizes."""
    torch.manual_seed(0)
    critic, maker = nn.Linear(4, 1), nn.Linear(2, 4)
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (critic, maker)]
    with lab_parity.record(path):
        for step in range(6):
            made = maker(torch.randn(5, 2))
            critic.zero_grad()
            maker.zero_grad()
            critic(made).square().mean().backward()
            optimizers[step % 2].step()


def test_the_batch_before_is_the_same_models(tmp_path: Path) -> None:
    """The critic's was given to its generator: the self-test ended with the program's error."""
    train(tmp_path / "a")
    with plant("batch", 3):
        train(tmp_path / "b")
    first = lab_parity.compare(tmp_path / "a", tmp_path / "b").first
    assert first is not None
    assert (first.step, first.phase) == (3, "batch")
