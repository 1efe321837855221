"""The ranks of one distributed run: a trace each, beside each other, and one verdict on all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import attrs

from lab_parity.phases import PHASES
from lab_parity.verdict import Coverage, Divergence, Verdict

__all__ = ["joined", "process_path", "processes_beside", "rank_path", "ranks_beside"]


def rank_path(path: Path, rank: int) -> Path:
    """Where a rank's trace lies: `run.trace` for rank 0, `run.rank1.trace` for rank 1, …"""
    return path if rank == 0 else path.with_name(f"{path.stem}.rank{rank}{path.suffix}")


def process_path(path: Path, process: int) -> Path:
    """Where a second process of one run that trains writes its trace: `run.process4711.trace`."""
    return path.with_name(f"{path.stem}.process{process}{path.suffix}")


def processes_beside(path: Path) -> list[Path]:
    """Traces of further processes of the same run."""
    name = re.compile(re.escape(f"{path.stem}.process") + r"\d+" + re.escape(path.suffix))
    return sorted(found for found in path.parent.glob("*") if name.fullmatch(found.name))


def ranks_beside(path: Path) -> dict[int, Path]:
    """Rank -> its trace, in order; `path` is that of rank 0, which is in it whether it is there or not."""
    name = re.compile(re.escape(f"{path.stem}.rank") + r"(\d+)" + re.escape(path.suffix))
    others = {int(match[1]): found for found in path.parent.glob("*") if (match := name.fullmatch(found.name))}
    return {0: path, **dict(sorted(others.items()))}


def joined(verdicts: Mapping[int, Verdict], reasons: tuple[str, ...]) -> Verdict:
    """One verdict on all ranks; `reasons` are why no verdict on some of them can stand.

    The first difference is the earliest of any rank: by step, micro-step and phase, then by rank.
    """
    parted = [(rank, verdict) for rank, verdict in verdicts.items() if verdict.first is not None]
    said = dict.fromkeys(reasons)
    said |= {f"rank {rank}: {reason}": None for rank, verdict in verdicts.items() for reason in verdict.reasons}
    notes = Counter(note for verdict in verdicts.values() for note in verdict.notes)
    whole = attrs.evolve(
        next(iter(verdicts.values())),
        coverage=_coverage([verdict.coverage for verdict in verdicts.values()]),
        reasons=tuple(said),
        notes=tuple(note if count > 1 else f"on one rank: {note}" for note, count in notes.items()),
    )
    if not parted:
        rungs = {verdict.rung for verdict in verdicts.values()}
        return attrs.evolve(whole, rung="inconclusive" if said or len(rungs) > 1 else rungs.pop())
    rank, earliest = min(parted, key=lambda pair: (_when(pair[1].first), pair[0]))
    assert earliest.first is not None
    return attrs.evolve(
        whole, rung="diverged", first=attrs.evolve(earliest.first, rank=rank), affected=earliest.affected,
        details=earliest.details,
    )  # fmt: skip


def _when(first: Divergence | None) -> tuple[int, int, int]:
    if first is None:
        raise ValueError("no difference")
    # What belongs to the whole step comes after its micro-steps, except the initial weights.
    last = -1 if first.phase == "config" else 1 << 30
    return first.step, last if first.micro_step is None else first.micro_step, PHASES.index(first.phase)


def _coverage(parts: list[Coverage]) -> Coverage:
    unmatched = dict.fromkeys(one for part in parts for one in part.unmatched)
    return Coverage(
        steps=min(part.steps for part in parts),
        micro_steps=sum(part.micro_steps for part in parts),
        tensors=max(part.tensors for part in parts),
        batches=sum(part.batches for part in parts),
        rng_states=sum(part.rng_states for part in parts),
        observations=sum(part.observations for part in parts),
        unmatched=tuple(unmatched),
        not_exercised=tuple(phase for phase in PHASES if all(phase in part.not_exercised for part in parts)),
        ranks=len(parts),
    )
