"""`within-noise`: no further from the legacy run than its own reruns are."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

import attrs

from lab_parity.compare import compare
from lab_parity.comparison import Comparison
from lab_parity.errors import ParityError, TraceError
from lab_parity.noise.curves import Curves, TensorName, curves_between
from lab_parity.noise.envelope import FEWEST_RERUNS
from lab_parity.noise.judged import Judged, judge_run, judge_steps
from lab_parity.trace import Step, Trace
from lab_parity.verdict import Divergence, Verdict

__all__ = ["within_noise"]

_EXACT = ("config", "rng", "batch")
"""Phases that no noise changes."""


def within_noise(a: Trace, b: Trace, reruns: Sequence[Trace], alpha: float = 0.01) -> Verdict:
    """The verdict on `b` against `a`, given `reruns` of `a` with the same seed (other threads, last bits perturbed).

    `identical` where nothing differs at all. Settings, batches, generators and initial weights must be equal whatever
    the reruns do; everything else is held against the envelope, whose false alarms have the probability `alpha`.
    Never a pass where the reruns are too few, unlike, without noise, or too noisy.

    Where `b` and the reruns were given the states of `a` as they ran (record/transplant.py), each step that began in
    such a state is judged, as far into the training as there are any; else only the steps before reruns part.
    """
    verdict = compare(a, b)
    if verdict.rung != "diverged":
        return verdict
    if verdict.reasons or verdict.coverage.unmatched:
        return _inconclusive(verdict, *(verdict.reasons or ("observations have no partner",)))
    try:
        only = _begun_alike(a, b, reruns)
        mine = curves_between(a, b, only=only)
        others = [_rerun(a, rerun, mine, only) for rerun in reruns]
    except _NoRerunError as error:
        return _inconclusive(verdict, str(error))
    except TraceError:
        raise
    except ParityError as error:
        # Not the same steps is what `compare` has said already; without summaries nothing more can be said.
        return _inconclusive(verdict, str(error)) if not a.scope.buckets or not b.scope.buckets else verdict
    found = _exact(verdict, mine, others)
    if found is not None:
        return found
    if mine.lost:
        return _inconclusive(verdict, *mine.lost)
    if len(others) < FEWEST_RERUNS:
        return _inconclusive(verdict, f"{len(others)} reruns, at least {FEWEST_RERUNS} are needed to know the noise")
    judged = (judge_run if only is None else judge_steps)(mine, others, alpha)
    said = _said(verdict, judged, alpha)
    return _covering(said, a, b, judged, only) if said.rung == "within-noise" else said


class _NoRerunError(ParityError):
    """A trace is no rerun of the legacy run."""


def _begun_alike(a: Trace, b: Trace, reruns: Sequence[Trace]) -> Collection[int] | None:
    """The steps that begin in a legacy state in `b` and in every rerun; None where none was put in place."""
    given = {trace.path: json.loads(trace.environment.get("transplant", "null")) for trace in (b, *reruns)}
    kept = given[b.path]
    for path, states in given.items():
        if states != kept:
            raise _NoRerunError(
                f"{path}: expected the legacy states after the same steps as in {b.path}, found others: record the "
                "migrated run and all reruns with --from, or none of them"
            )
    if kept is None:
        return None
    # A state is that of one optimizer: where several take turns, each must have been put back after its last step.
    last: dict[str, int] = {}
    begun = []
    for item in a.steps():
        if isinstance(item, Step):
            if all(step in kept for step in last.values()):
                begun.append(item.step)
            last[item.optimizer] = item.step
    return begun


def _rerun(a: Trace, rerun: Trace, mine: Curves, only: Collection[int] | None) -> Curves:
    try:
        found = curves_between(a, rerun, only=only)
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


def _exact(verdict: Verdict, mine: Curves, others: Sequence[Curves]) -> Verdict | None:
    """Diverged, where something differs that no noise changes."""
    carried: set[TensorName] = set().union(*(other.batches for other in others))
    wrong = [exact for name, exact in mine.batches.items() if name not in carried] if others else []
    if mine.exact is not None:
        wrong.append(mine.exact)
    if not wrong:
        return None
    step, key = min(wrong, key=lambda exact: exact.step)
    said = f"{key.phase} {key.name} {key.field}".strip()
    return attrs.evolve(verdict, notes=(*verdict.notes, f"no noise changes {said}, which differs at step {step}"))


def _said(verdict: Verdict, judged: Judged, alpha: float) -> Verdict:
    notes = (*judged.notes, *verdict.notes)
    if judged.rung == "within-noise":
        notes = (f"{judged.notes[0]} (false alarms {alpha:.0%})", *judged.notes[1:], *verdict.notes)
        return attrs.evolve(verdict, rung="within-noise", notes=notes, tolerance=judged.tolerance)
    if judged.rung == "inconclusive":
        return attrs.evolve(verdict, rung="inconclusive", reasons=judged.reasons, notes=notes)
    if judged.row is None:
        return attrs.evolve(verdict, notes=notes)
    row = judged.row
    first = Divergence(judged.at, None, row.phase, f"{row.name} {row.field}".strip(), judged.reasons[0])
    return attrs.evolve(verdict, first=first, details="", affected={}, notes=notes)


def _covering(verdict: Verdict, a: Trace, b: Trace, judged: Judged, only: Collection[int] | None) -> Verdict:
    """With what all judged steps have; the bitwise comparison has only seen those up to the first difference."""
    seen = Comparison(a, b, _EXACT)
    for left, right in zip(a.steps(), b.steps(), strict=False):
        if not (isinstance(left, Step) and isinstance(right, Step)) or seen.steps == judged.steps:
            break
        if only is None or left.step in only:
            seen.step(left, right)
    coverage = seen.verdict({}).coverage
    return attrs.evolve(verdict, coverage=attrs.evolve(coverage, observations=judged.observations))


def _inconclusive(verdict: Verdict, *reasons: str) -> Verdict:
    return attrs.evolve(verdict, rung="inconclusive", reasons=reasons)
