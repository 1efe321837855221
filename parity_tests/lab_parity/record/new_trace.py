"""The file of a run: made when its first step has ended, when it is known which rank this process is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from lab_parity.environment import describe_environment
from lab_parity.ranks import process_path, rank_path
from lab_parity.trace import Scope
from lab_parity.trace_writer import TraceWriter

__all__ = ["new_trace"]


def new_trace(path: Path, scope: Scope, facts: Mapping[str, str], process: int | None) -> TraceWriter:
    """Begin the trace of this rank beside `path`; `facts` go with what is known of the environment.

    Where the path is taken, the number of the `process` is added to its name; without one, FileExistsError is raised.
    """
    rank, world = _rank_and_world()
    path, known = rank_path(path, rank), {**describe_environment(), "ranks": str(world), **facts}
    try:
        return TraceWriter(path, known, scope)
    except FileExistsError:
        if process is None:
            raise
        return TraceWriter(process_path(path, process), known, scope)


def _rank_and_world() -> tuple[int, int]:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    return (int(os.environ.get("RANK", "0")), world) if world > 1 else (0, 1)
