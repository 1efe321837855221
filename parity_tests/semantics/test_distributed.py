"""Distributed: Lab's own reduction over real processes, under the drop-in."""

from __future__ import annotations

import json
import multiprocessing
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed as dist

from semantics.harness import Parity, clean

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


def _rank(body: Body, rank: int, world: int, folder: Path) -> None:
    """One process of a run: what it found goes to a file."""
    said: dict[str, Any] = {}
    try:
        dist.init_process_group(
            "gloo", f"file://{folder}/meeting", rank=rank, world_size=world, timeout=timedelta(seconds=90)
        )
        parity = Parity(folder)
        body(parity, [f"train/Loader.rank = {rank}", f"train/Loader.world_size = {world}"])
        said["found"] = parity.found
        clean()
        dist.barrier()
    except BaseException:
        said["failed"] = traceback.format_exc()
    (folder / f"rank{rank}.json").write_text(json.dumps(said))


def run_ranks(parity: Parity, body: Body, world: int) -> None:
    """Every rank compares its own trainings, in step with the others; what rank 0 found becomes the row."""
    torch.set_num_threads(1)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_rank, args=(body, rank, world, parity.folder)) for rank in range(world)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(180)
    for process in processes:
        if process.is_alive():
            process.kill()
    paths = [parity.folder / f"rank{rank}.json" for rank in range(world)]
    assert all(path.exists() for path in paths), "a rank said nothing"
    said = [json.loads(path.read_text()) for path in paths]
    failed = [f"rank {rank} of {world}: {one['failed']}" for rank, one in enumerate(said) if "failed" in one]
    assert not failed, "\n".join(failed)
    parity.found.update(said[0]["found"])


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("world", [2, 3])
def test_own_reduction_over_processes(parity: Parity, world: int) -> None:
    """Two and three ranks over gloo, in real processes: Lab averages the gradients, its loader deals out shards.

    Seam: Lightning runs each rank on a single device, so that it wraps nothing, adds no sampler and reduces nothing.

    Twin: the gradients are not averaged.
    """
    run_ranks(parity, reduced_once, world)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_own_reduction_at_every_loss(parity: Parity) -> None:
    """Averaged after every micro-batch, sums that are averages already included.

    Seam: the legacy optimizer reduces inside its step.

    Twin: averaged once an update.
    """
    run_ranks(parity, reduced_at_every_loss, 2)
