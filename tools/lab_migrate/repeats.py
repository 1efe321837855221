"""One program again and again: reruns with the same seed, which differ by noise alone, and other seeds of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from lab_parity import Scope, read
from lab_parity.sketch import BUCKETS
from lab_parity.trace import Step

__all__ = ["FULL", "KEPT", "Rerun", "beside", "kept_steps", "reruns", "with_seed"]

FULL = Scope(buckets=BUCKETS)
"""How a run is recorded of which distances are to be known."""
KEPT = 50
"""Steps of a run that are judged from the legacy state."""
_SEED = "{seed}"


@attrs.frozen
class Rerun:
    """What is different in a rerun, and is to make no difference."""

    name: str
    plant: str | None = None
    extra: Mapping[str, str] = attrs.field(factory=dict)


def reruns(count: int) -> list[Rerun]:
    """The first as it is, the second with another number of threads, the others with other last bits."""
    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    listed = [Rerun("rerun1"), Rerun("rerun2", extra={"OMP_NUM_THREADS": str(threads // 2 or 2)})]
    return [*listed, *(Rerun(f"rerun{n + 2}", f"bits:{n}") for n in range(1, count - 1))][:count]


def beside(trace: Path, name: str) -> Path:
    """Where a repetition of a run is recorded: run.trace -> run.rerun1.trace."""
    return trace.with_name(f"{trace.stem}.{name}{trace.suffix}")


def with_seed(command: Sequence[str], seed: int) -> tuple[list[str], str | None]:
    """The command of another seed: `{seed}` in it is replaced, or else every seed that it sets is shifted (a plant)."""
    if any(_SEED in word for word in command):
        return [word.replace(_SEED, str(seed)) for word in command], None
    return list(command), f"seed:{seed}"


def kept_steps(trace: Path, judged: int = KEPT) -> list[int]:
    """After which steps of this run the state must be kept, so that `judged` steps, evenly spread, can begin in it.

    Where several optimizers take turns, those are the last steps of each.
    """
    steps = [(item.step, item.optimizer) for item in read(trace).steps() if isinstance(item, Step)]
    every = max(1, len(steps) // judged)
    last: dict[str, int] = {}
    kept: set[int] = set()
    for place, (step, optimizer) in enumerate(steps):
        if place % every == 0:
            kept |= set(last.values())
        last[optimizer] = step
    return sorted(kept)
