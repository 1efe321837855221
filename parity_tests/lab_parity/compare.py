"""Compare two traces: one verdict, or one for each step that differs."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence

import attrs

from lab_parity.comparison import Comparison
from lab_parity.condense import CONDENSED
from lab_parity.environment import RECORDED
from lab_parity.phases import PHASES
from lab_parity.ranks import joined, processes_beside, ranks_beside
from lab_parity.trace import Step, Trace, read
from lab_parity.verdict import Verdict

__all__ = ["compare", "differences"]

_NOT_COMPARED = {"command", "folder", "transplant", CONDENSED, RECORDED}


def compare(a: Trace | str | os.PathLike[str], b: Trace | str | os.PathLike[str]) -> Verdict:
    """The verdict on two runs: `a` is the legacy side, `b` the migrated one.

    Of a distributed run it is the trace of rank 0; those of the other ranks are found beside it.

    Raises TraceError when a file is missing, is no trace or is damaged.
    """
    a, b = (side if isinstance(side, Trace) else read(side) for side in (a, b))
    if (children := _only_children(a, b)) is not None:
        verdict = compare(*children)
        note = f"each run trained in a process of its own: {' and '.join(child.path.name for child in children)}"
        return attrs.evolve(verdict, notes=(*verdict.notes, note))
    ranks_a, ranks_b = ranks_beside(a.path), ranks_beside(b.path)
    reasons = [
        reason for which, side, ranks in (("first", a, ranks_a), ("second", b, ranks_b))
        for reason in _not_found(which, side, list(ranks))
    ]  # fmt: skip
    worlds = [int(side.environment.get("ranks", "1")) for side in (a, b)]
    if worlds[0] != worlds[1]:
        return _of_other_ranks(_one(a, b), reasons, *worlds)
    if len(ranks_a) == len(ranks_b) == 1 and not reasons:
        return _one(a, b)
    verdicts = {0: _one(a, b)}
    for rank in sorted((ranks_a.keys() & ranks_b.keys()) - {0}):
        verdicts[rank] = _one(read(ranks_a[rank]), read(ranks_b[rank]))
    return joined(verdicts, tuple(reasons))


def _only_children(a: Trace, b: Trace) -> tuple[Trace, Trace] | None:
    """The traces of two runs that only start the one process which trains; there is no other to take it for."""
    found = [processes_beside(side.path) for side in (a, b)]
    if any(len(paths) != 1 for paths in found) or any(len(ranks_beside(side.path)) > 1 for side in (a, b)):
        return None
    if any(len(side) for side in (a, b)):
        return None
    return read(found[0][0]), read(found[1][0])


def _of_other_ranks(rank_0: Verdict, reasons: Sequence[str], a: int, b: int) -> Verdict:
    """No verdict: each rank sees another share of the batches than the other side's, even of one and the same training.

    What rank 0 shows first is a note.
    """
    reason = (
        f"{a} ranks on one side, {b} on the other: ranks see other shares of the batches, and sums are made in another "
        "order; record both alike, or compare over seeds (--equivalent)"
    )
    shown = () if rank_0.first is None else (f"rank 0 by itself: {rank_0.first.sentence()}",)
    return attrs.evolve(
        rank_0, rung="inconclusive", first=None, reasons=(*reasons, reason), notes=(*shown, *rank_0.notes),
        affected={}, details="",
    )  # fmt: skip


def _not_found(which: str, trace: Trace, found: Sequence[int]) -> list[str]:
    """What a verdict on the ranks that were found would leave out."""
    expected = int(trace.environment.get("ranks", "1"))
    missing = [str(rank) for rank in range(expected) if rank not in found]
    reasons = [f"the {which} run had {expected} ranks; no trace of rank {', '.join(missing)}"] if missing else []
    others = [path.name for path in processes_beside(trace.path)]
    if others:
        reasons.append(f"the {which} run also trained in another process: compare {', '.join(others)} by itself")
    return reasons


def _one(a: Trace, b: Trace) -> Verdict:
    environment = {
        name: (a.environment.get(name, "absent"), b.environment.get(name, "absent"))
        for name in sorted({*a.environment, *b.environment} - _NOT_COMPARED)
        if a.environment.get(name) != b.environment.get(name)
    }
    return Comparison(a, b).run().verdict(environment)


def differences(a: Trace, b: Trace, phases: Collection[str] = PHASES) -> Iterator[Verdict]:
    """A verdict for each step that differs, its `first` being that step's; all steps that both runs have are compared.

    For runs of which each step starts from the same state (see record/transplant.py). Only differences in `phases`
    count.
    """
    comparison = Comparison(a, b, phases)
    for left, right in zip(a.steps(), b.steps(), strict=False):
        if not (isinstance(left, Step) and isinstance(right, Step)):
            return
        comparison.first, comparison.details, comparison.affected = None, "", {}
        comparison.step(left, right)
        if comparison.first is not None:
            yield comparison.verdict({})
