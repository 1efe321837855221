"""The ranks of a distributed training as real processes on this machine, which meet over gloo."""

from __future__ import annotations

import json
import multiprocessing
import time
import traceback
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from torch import distributed as dist

__all__ = ["in_ranks"]

#: Seconds that one rank waits for another, and that all of them may take.
MEETING, LONGEST = 90, 240


def in_ranks(world: int, folder: Path, body: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """What `body`, given its rank, says in each of `world` processes: JSON, which goes through files in `folder`.

    Raises `AssertionError` with the traceback of every rank that raised, or that said nothing.
    """
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork.*")
        processes = [context.Process(target=_rank, args=(body, rank, world, folder)) for rank in range(world)]
        for process in processes:
            process.start()
    ends = time.monotonic() + LONGEST
    for process in processes:
        process.join(max(0.0, ends - time.monotonic()))
    for process in processes:
        if process.is_alive():
            process.kill()
    paths = [_said_by(rank, folder) for rank in range(world)]
    said = [json.loads(path.read_text()) if path.exists() else {"raised": "said nothing"} for path in paths]
    raised = [f"rank {rank} of {world}: {one['raised']}" for rank, one in enumerate(said) if "raised" in one]
    assert not raised, "\n".join(raised)
    return said


def _rank(body: Callable[[int], dict[str, Any]], rank: int, world: int, folder: Path) -> None:
    try:
        meeting, longest = f"file://{folder}/meeting", timedelta(seconds=MEETING)
        dist.init_process_group("gloo", meeting, rank=rank, world_size=world, timeout=longest)
        said = body(rank)
        dist.barrier()
    except BaseException:
        said = {"raised": traceback.format_exc()}
    _said_by(rank, folder).write_text(json.dumps(said))


def _said_by(rank: int, folder: Path) -> Path:
    return folder / f"rank{rank}.json"
