"""Checkpoints to convert: a short Lab run's, and small ones of known content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import legacy_lab


@pytest.fixture
def lab_file(build: Callable[..., Any], tmp_path: Path) -> Path:
    """A Lab checkpoint of the VAE project after 5 steps: mid-epoch, with EMA, schedule and two loaders."""
    build(legacy_lab.Trainer, "digits_vae", "lab", "Trainer.steps = 5", "Trainer.checkpoint_every = 5").train()
    return tmp_path / "lab" / "step_00000005.lab"


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """`save(name, tree, **how)`: `torch.save`, returning the path."""

    def write(name: str, tree: Any, **how: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(tree, path, **how)
        return path

    return write


@pytest.fixture
def training() -> Callable[..., dict[str, Any]]:
    """`training(seed, steps)`: a home-grown training's checkpoint."""
    return _training


def _training(seed: int = 0, steps: int = 3) -> dict[str, Any]:
    """An embedding, a linear layer, a norm, a head tied to the embedding; Adam, a schedule."""
    torch.manual_seed(seed)
    model = torch.nn.ModuleDict(
        {
            "embed": torch.nn.Embedding(6, 4),
            "mix": torch.nn.Linear(4, 4),
            "norm": torch.nn.BatchNorm1d(4),
            "head": torch.nn.Linear(4, 6, bias=False),
        }
    )
    model["head"].weight = model["embed"].weight
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    for _ in range(steps):
        inner = model["norm"](model["mix"](model["embed"](torch.arange(6))))
        model["head"](inner).square().sum().backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": schedule.state_dict(),
        "epoch": 1,
        "step": steps,
        "note": "kept",
    }
