"""Distributed: Lab's own reduction over real processes, under the drop-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from semantics.harness import Parity, clean
from semantics.ranks import in_ranks

RICH = [
    "Adam.accumulate = 2",
    "Adam.clip_norm = 0.3",
    "Adam.gradients = @Gradients()",
    "Trainer.ema = @EMA()",
    "Trainer.eval_every = 3",
    "train/Loader.batch_size = 3",
]
Body = Callable[[Parity, list[str]], None]


def reduced_once(parity: Parity, shard: list[str]) -> None:
    """Averaged once an update; the twin does not average."""
    right = [*RICH, *shard]
    parity.identical(*right)
    parity.diverges(right, right, phase=["grad", "reduce"], step=0, spoil=_alone)


def reduced_at_every_loss(parity: Parity, shard: list[str]) -> None:
    """Averaged after every loss; the twin averages once an update."""
    right = [*RICH, *shard, "Gradients.reduce_at = 'loss'", "Adam.accumulate = 3"]
    parity.identical(*right)
    parity.diverges(right, [*right, "Gradients.reduce_at = 'update'"], phase=["grad", "reduce"], step=0)


def _alone(trainer: Any) -> None:
    trainer.optimizer.reduce = lambda: None


def run_ranks(parity: Parity, body: Body, world: int) -> None:
    """Every rank compares its own trainings, in step with the others; what rank 0 found becomes the row."""
    torch.set_num_threads(1)

    def one(rank: int) -> dict[str, Any]:
        own = Parity(parity.folder)
        body(own, [f"train/Loader.rank = {rank}", f"train/Loader.world_size = {world}"])
        clean()
        return own.found

    parity.found.update(in_ranks(world, parity.folder, one)[0])


@pytest.mark.parametrize("world", [2, 3])
def test_own_reduction_over_processes(parity: Parity, world: int) -> None:
    """Two and three ranks over gloo, in real processes: Lab averages the gradients, its loader deals out shards.

    Seam: Lightning runs each rank on a single device, so that it wraps nothing, adds no sampler and reduces nothing.

    Twin: the gradients are not averaged.
    """
    run_ranks(parity, reduced_once, world)


def test_own_reduction_at_every_loss(parity: Parity) -> None:
    """Averaged after every micro-batch, sums that are averages already included.

    Seam: the legacy optimizer reduces inside its step.

    Twin: averaged once an update.
    """
    run_ranks(parity, reduced_at_every_loss, 2)
