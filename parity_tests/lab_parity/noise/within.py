"""`within-noise`: no further from the legacy run than its own reruns are."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from lab_parity.compare import compare
from lab_parity.errors import ParityError, TraceError
from lab_parity.noise.curves import Curves, TensorName, curves_between
from lab_parity.noise.envelope import FEWEST_RERUNS, envelope_of
from lab_parity.trace import Trace
from lab_parity.verdict import Divergence, Verdict

__all__ = ["within_noise"]

_SATURATED = 0.1
"""Where noise alone carries the parameters this far (relative), distances say nothing about the training."""
_LARGEST_FACTOR = 100.0
"""An envelope that lets pass what is more than a hundred times further than usual proves nothing."""
_SMALLEST_SHARE = 0.1
_TOO_FAR = "the migrated run is {factor:.3g} times as far from the legacy one as reruns are (limit {limit:.3g} times)"


def within_noise(a: Trace, b: Trace, reruns: Sequence[Trace], alpha: float = 0.01) -> Verdict:
    """The verdict on `b` against `a`, given `reruns` of `a` with the same seed (other threads, last bits perturbed).

    `identical` where nothing differs at all. Settings, batches, generators and initial weights must be equal whatever
    the reruns do; everything else is held against the envelope, whose false alarms have the probability `alpha`.
    Never a pass where the reruns are too few, unlike, without noise, or too noisy.
    """
    verdict = compare(a, b)
    if verdict.rung != "diverged":
        return verdict
    if verdict.reasons or verdict.coverage.unmatched:
        return _inconclusive(verdict, *(verdict.reasons or ("observations have no partner",)))
    try:
        mine = curves_between(a, b)
        if mine.exact is not None:
            return _exact(verdict, mine)
        if mine.lost:
            return _inconclusive(verdict, *mine.lost)
        others = [_rerun(a, rerun, mine) for rerun in reruns]
    except _NoRerunError as error:
        return _inconclusive(verdict, str(error))
    except TraceError:
        raise
    except ParityError as error:
        # Not the same steps is what `compare` has said already; without summaries nothing more can be said.
        return _inconclusive(verdict, str(error)) if not a.scope.buckets or not b.scope.buckets else verdict
    return _judged(verdict, mine, others, alpha)


class _NoRerunError(ParityError):
    """A trace is no rerun of the legacy run."""


def _rerun(a: Trace, rerun: Trace, mine: Curves) -> Curves:
    try:
        found = curves_between(a, rerun)
    except TraceError:
        raise
    except ParityError as error:
        raise _NoRerunError(f"no rerun of {a.path}: {error}") from error
    if found.exact is not None:
        step, key = found.exact
        raise _NoRerunError(f"{rerun.path}: no rerun of {a.path}: {key.phase} {key.name} differs at step {step}")
    if found.lost:
        raise _NoRerunError(f"{rerun.path}: {found.lost[0]}")
    if set(found.rows) != set(mine.rows):
        raise _NoRerunError(f"{rerun.path}: not the same tensors as {a.path}")
    return found


def _exact(verdict: Verdict, mine: Curves) -> Verdict:
    assert mine.exact is not None
    step, key = mine.exact
    said = f"{key.phase} {key.name} {key.field}".strip()
    return attrs.evolve(verdict, notes=(*verdict.notes, f"no noise changes {said}, which differs at step {step}"))


def _judged(verdict: Verdict, mine: Curves, others: Sequence[Curves], alpha: float) -> Verdict:
    tables = [_in_order(other, mine.rows) for other in others]
    if len(tables) < FEWEST_RERUNS:
        return _inconclusive(verdict, f"{len(tables)} reruns, at least {FEWEST_RERUNS} are needed to know the noise")
    # A rerun with the same bits shows that the machine repeats itself, and nothing of what noise does to a training.
    noisy = [table for table in tables if (table > 0).any()]
    same = len(tables) - len(noisy)
    if noisy and same:
        said = f"{same} of {len(tables)} reruns repeat the legacy run bit by bit, and show no noise"
        verdict = attrs.evolve(verdict, notes=(*verdict.notes, said))
        if len(noisy) < FEWEST_RERUNS:
            return _inconclusive(
                verdict, f"{said}: {FEWEST_RERUNS} that do are needed (record --plant ulp:1, ulp:2, …)"
            )
        tables = noisy
    if mine.unsized:
        name = mine.unsized[0]
        return _inconclusive(verdict, f"{name.phase} {name.name} differs, and nothing tells by how much")
    if not any(row.phase == "param" for row in mine.rows):
        return _inconclusive(verdict, "no parameter was compared")
    usable = _usable(mine.rows, tables)
    if usable < max(_SMALLEST_SHARE * len(mine.steps), 1):
        reason = f"after {int(mine.steps[usable])} steps noise alone has moved the parameters by {_SATURATED:.0%}"
        return _inconclusive(verdict, f"{reason}: distances say nothing there; compare several seeds instead")
    groups = [row.phase for row in mine.rows]
    apart = mine.apart[:, :usable]
    try:
        envelope = envelope_of([table[:, :usable] for table in tables], mine.steps[:usable], groups, alpha)
    except ValueError as error:
        return attrs.evolve(verdict, notes=(*verdict.notes, str(error)))
    found = envelope.judge(apart)
    row, until = mine.rows[found.row], int(mine.steps[found.bin])
    where = f"at step {until - 1}, {row.phase} {row.name} {row.field}".strip()
    if not found.inside:
        what = _TOO_FAR.format(factor=found.factor, limit=envelope.factor)
        first = Divergence(until - 1, None, row.phase, f"{row.name} {row.field}".strip(), what)
        return attrs.evolve(verdict, first=first, details="", affected={})
    if envelope.factor > _LARGEST_FACTOR:
        return _inconclusive(
            verdict,
            f"{len(tables)} reruns leave room for {envelope.factor:.0f} times the usual distance, more than "
            f"{_LARGEST_FACTOR:.0f}: record more of them",
        )
    notes = [
        f"{len(tables)} reruns; furthest out {where}: {found.factor:.2g} times the usual distance, "
        f"limit {envelope.factor:.2g} times (false alarms {alpha:.0%})"
    ]
    if usable < len(mine.steps):
        judged = int(mine.steps[usable - 1])
        notes.append(
            f"only the first {judged} steps were judged: then noise reaches {_SATURATED:.0%} of the parameters"
        )
    params = [n for n, name in enumerate(mine.rows) if name.phase == "param"]
    allowed = float(10 ** (envelope.line[params].max() + envelope.limit))
    return attrs.evolve(verdict, rung="within-noise", notes=(*verdict.notes, *notes), tolerance=allowed)


def _in_order(curves: Curves, rows: Sequence[TensorName]) -> npt.NDArray[np.float64]:
    place = {row: n for n, row in enumerate(curves.rows)}
    table: npt.NDArray[np.float64] = curves.apart[[place[row] for row in rows]]
    return table


def _usable(rows: Sequence[TensorName], tables: Sequence[npt.NDArray[np.float64]]) -> int:
    """How many bins there are before noise alone has carried the parameters too far."""
    params = [n for n, row in enumerate(rows) if row.phase == "param"]
    usual = np.nanmedian(np.stack(tables)[:, params], axis=(0, 1))
    beyond = np.nonzero(usual >= _SATURATED)[0]
    return int(beyond[0]) if beyond.size else usual.size


def _inconclusive(verdict: Verdict, *reasons: str) -> Verdict:
    return attrs.evolve(verdict, rung="inconclusive", reasons=reasons)
