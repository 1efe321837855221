"""`equivalent`: several seeds a side, the same outcome within a margin, by an equivalence test.

Each run is reduced to the mean loss of each of some stretches of its steps; the last one is the final metric, all
together are the curve. For each stretch two one-sided t tests (TOST, Schuirmann 1987; Welch's degrees of freedom, or
paired) ask whether the sides differ by less than the margin. All must say so at level alpha, which needs no correction
(intersection-union, Berger 1982). The margin is a share of what the legacy training improves the loss by, so that
neither its unit nor an offset matters. The power is the probability of passing if there were no difference at all, from
the spread that was seen, as a lower bound for all stretches together (Bonferroni).

Outcomes forgive: a learning rate that is 5 % off may end within the margin. So settings that no seed changes must be
the same on both sides, and where both were recorded with statistics, the updates must be of the same size to within
5 %, by the same test, on the whole run: the mean logarithm of their norm, or of norm by gradient, whichever varies less
among the legacy seeds (see update_size.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from lab_parity.phases import PHASES
from lab_parity.settings_apart import settings_apart
from lab_parity.tost import MOST_SEEDS, Comparison, compare_samples, seeds_needed, spread_of
from lab_parity.trace import End, Step, Trace
from lab_parity.update_size import update_size
from lab_parity.verdict import Coverage, Divergence, Verdict

__all__ = ["FEWEST_SEEDS", "equivalent"]

FEWEST_SEEDS = 3
_UPDATES_APART = 0.05
Floats = npt.NDArray[np.float64]


def equivalent(
    a: Sequence[Trace], b: Sequence[Trace], *, margin: float = 0.02, alpha: float = 0.05, stretches: int = 8,
    paired: bool = False,
) -> Verdict:  # fmt: skip
    """The verdict on the seeds `a` of the legacy side and `b` of the migrated one.

    `margin` is the share of the legacy improvement that may be lost or won. `paired` says that the i-th runs of both
    sides have the same seed. Too few seeds, or a spread too large for them, are `inconclusive`.
    """
    stretches = max(1, min([stretches, *(len(trace) for trace in (*a, *b))]))
    runs = [_outcome(trace, stretches) for trace in (*a, *b)]
    reasons = _reasons(runs, len(a), len(b), paired)
    steps = min((run.steps for run in runs), default=0)
    observations = sum(run.observations for run in runs)
    exercised = {phase for run in runs for phase in run.phases}
    coverage = Coverage(
        steps=steps,
        observations=observations,
        not_exercised=tuple(p for p in PHASES if p not in exercised | {"optimizer"}),
        seeds=(len(a), len(b)),
    )
    if reasons:
        return Verdict("inconclusive", coverage, reasons=tuple(reasons))
    apart = settings_apart(a, b)
    if apart is not None:
        return Verdict("diverged", coverage, apart)
    mine, other = runs[: len(a)], runs[len(a) :]
    found: dict[tuple[str, int], tuple[Comparison, Floats, Floats]] = {}
    total = len(mine[0].series) * stretches
    for name in mine[0].series:
        first, last = (float(np.mean([run.series[name][place] for run in mine])) for place in (0, -1))
        allowed = margin * abs(first - last)
        if not allowed > 0:
            return Verdict("inconclusive", coverage, reasons=(f"{name} does not change on the legacy side: no margin",))
        for place in range(stretches):
            # Place 0 of a series is the first step alone: where the training starts from.
            left, right = (np.array([run.series[name][place + 1] for run in side]) for side in (mine, other))
            tested = compare_samples(left, right, allowed, alpha=alpha, of=total, paired=paired)
            found[name, place] = tested, left, right
    updates = _updates(a, b, alpha, total + 1, paired)
    if isinstance(updates, _Updates):
        without = tuple(phase for phase in coverage.not_exercised if phase not in ("grad", "param"))
        coverage = attrs.evolve(coverage, tensors=updates.tensors, not_exercised=without)
    return _verdict(found, updates, coverage, alpha, stretches, steps, paired)


@attrs.frozen(slots=True, eq=False)
class _Outcome:
    """One run: per named number its first value, then its mean in each stretch."""

    trace: Trace
    steps: int
    observations: int
    series: Mapping[str, Floats]
    phases: frozenset[str]
    end: End
    notes: tuple[str, ...]


def _outcome(trace: Trace, stretches: int) -> _Outcome:
    total = len(trace)
    sums: dict[str, Floats] = {}
    counts: dict[str, Floats] = {}
    starts: dict[str, float] = {}
    observations = 0
    notes: dict[str, None] = {}
    end = End("cut short")
    for number, item in enumerate(trace.steps()):
        if isinstance(item, End):
            end = item
            notes |= dict.fromkeys(item.notes)
            break
        notes |= dict.fromkeys(item.notes)
        place = number * stretches // max(total, 1)
        for name, value in _numbers(item).items():
            sums.setdefault(name, np.zeros(stretches))[place] += value
            counts.setdefault(name, np.zeros(stretches))[place] += 1
            starts.setdefault(name, value)
            observations += 1
    with np.errstate(invalid="ignore"):
        series = {name: np.append(starts[name], sums[name] / counts[name]) for name in sums}
    return _Outcome(
        trace, total, observations, series, frozenset(name.split(" ")[1] for name in series), end, tuple(notes)
    )


def _numbers(step: Step) -> dict[str, float]:
    """The step's mean loss, and its metrics, by "optimizer phase name"."""
    found: dict[str, list[float]] = {}
    for key, value in zip(step.keys, step.values, strict=True):
        if key.phase in ("loss", "metric"):
            name = key.name if key.phase == "metric" else "loss"
            found.setdefault(f"{step.optimizer} {key.phase} {name}", []).append(float(value))
    return {name: float(np.mean(values)) for name, values in found.items()}


def _reasons(runs: Sequence[_Outcome], first: int, second: int, paired: bool) -> list[str]:
    """Why there is nothing to judge; everything at once."""
    reasons = []
    if min(first, second) < FEWEST_SEEDS:
        reasons.append(f"{first} and {second} runs: at least {FEWEST_SEEDS} seeds a side are needed")
    if paired and first != second:
        reasons.append(f"{first} and {second} runs cannot be paired")
    whole = "stopped" if all(run.end.status == "stopped" for run in runs) else "finished"
    for run in runs:
        if run.end.status != whole:
            reasons.append(f"{run.trace.path} did not finish by itself ({run.end.status})")
        elif run.notes:
            reasons.append(f"{run.trace.path}: not recorded: {run.notes[0]}")
        elif not run.series:
            reasons.append(f"{run.trace.path} holds no loss")
        elif not all(np.isfinite(values).all() for values in run.series.values()):
            reasons.append(f"{run.trace.path}: a loss is missing, infinite or no number")
        elif run.steps != runs[0].steps or run.series.keys() != runs[0].series.keys():
            reasons.append(f"{run.trace.path} has not the steps and losses of {runs[0].trace.path}")
    reasons += [
        f"{one.trace.path} and {other.trace.path} are the same run: a seed counts once"
        for side in (runs[:first], runs[first:])
        for one, other in itertools.combinations(side, 2)
        if one.series and one.series.keys() == other.series.keys()
        and all(np.array_equal(one.series[name], other.series[name]) for name in one.series)
    ]  # fmt: skip
    return reasons


def _updates(a: Sequence[Trace], b: Sequence[Trace], alpha: float, of: int, paired: bool) -> _Updates | str:
    """Whether the updates are of one size; or why nobody can tell."""
    sizes = [[update_size(trace) for trace in side] for side in (a, b)]
    if any(found is None for side in sizes for found in side):
        return "sizes of updates were not compared: record with --level statistics"
    left, right = (np.array([found for found in side if found is not None]) for side in sizes)
    way = int(np.argmin(np.std(left, axis=0, ddof=1)))
    tested = compare_samples(left[:, way], right[:, way], np.log1p(_UPDATES_APART), alpha=alpha, of=of, paired=paired)
    named = "updates by gradients" if way else "updates"
    return _Updates(tested, left[:, way], right[:, way], named, _parameters(a[0]))


def _parameters(trace: Trace) -> int:
    """How many parameters are updated in any step."""
    return len({(item.optimizer, key.name) for item in trace.steps() if isinstance(item, Step)
                for key in item.keys if key.phase == "param"})  # fmt: skip


@attrs.frozen(slots=True, eq=False)
class _Updates:
    """The test of the updates' sizes, on logarithms."""

    tested: Comparison
    left: Floats
    right: Floats
    of: str
    tensors: int

    def said(self) -> str:
        """For a person, as a ratio."""
        low, ratio, high = np.exp([self.tested.low, self.tested.difference, self.tested.high])
        return f"size of {self.of}: {ratio:.3f} times the legacy one, 90% interval {low:.3f} to {high:.3f}"


def _verdict(
    found: Mapping[tuple[str, int], tuple[Comparison, Floats, Floats]], updates: _Updates | str, coverage: Coverage,
    alpha: float, stretches: int, steps: int, paired: bool,
) -> Verdict:  # fmt: skip
    tests = [tested for tested, _, _ in found.values()]
    tolerance = max(tested.margin for tested in tests)
    tests += [updates.tested] if isinstance(updates, _Updates) else []
    power = max(0.0, 1 - sum(1 - tested.power for tested in tests))
    last = stretches - 1
    notes = [f"{name}: {_said(*parts, alpha)}" for (name, place), parts in found.items() if place == last]
    notes.append(
        f"{len(tests)} tests (curve, final value, updates), largest p {max(tested.p for tested in tests):.2g}; "
        f"power at least {power:.2f}{', paired' if paired else ''}"
    )
    notes.append(updates if isinstance(updates, str) else updates.said())
    if isinstance(updates, _Updates) and updates.tested.beyond:
        what = f"{updates.said()}: beyond doubt more than {_UPDATES_APART:.0%} apart"
        first = Divergence(0, None, "param", "", what)
        return Verdict("diverged", coverage, first, notes=tuple(notes), tolerance=tolerance)
    for (name, place), (tested, left, right) in found.items():
        if tested.beyond:
            what = f"the means differ by {tested.difference:.4g}, more than the margin {tested.margin:.4g} beyond doubt"
            optimizer, phase, _ = name.split(" ", 2)
            step = place * steps // stretches
            first = Divergence(step, None, phase, optimizer, what, float(np.mean(left)), float(np.mean(right)))
            return Verdict("diverged", coverage, first, notes=tuple(notes), tolerance=tolerance)
    if all(tested.p < alpha for tested in tests):
        return Verdict("equivalent", coverage, notes=tuple(notes), tolerance=tolerance)
    failed = [(f"{name} in stretch {place + 1} of {stretches}", *parts) for (name, place), parts in found.items()
              if parts[0].p >= alpha]  # fmt: skip
    if isinstance(updates, _Updates) and updates.tested.p >= alpha:
        failed.append((f"size of {updates.of}", updates.tested, updates.left, updates.right))
    name, tested, left, right = max(failed, key=lambda item: item[1].p)
    spread = spread_of(left, right, paired)
    count = seeds_needed(spread, tested.margin, alpha=alpha, of=len(tests), paired=paired)
    needed = f"about {count} seeds a side" if count is not None else f"more than {MOST_SEEDS} seeds a side"
    reason = (
        f"{len(failed)} of {len(tests)} tests do not pass, worst {name} "
        f"(p {tested.p:.2g}); power {power:.2f}: {needed} would decide it if there is no difference"
    )
    return Verdict("inconclusive", coverage, reasons=(reason,), notes=tuple(notes), tolerance=tolerance)


def _said(tested: Comparison, left: Floats, right: Floats, alpha: float) -> str:
    return (
        f"final {np.mean(left):.4g} against {np.mean(right):.4g} ({len(left)} and {len(right)} seeds), difference "
        f"{tested.difference:.2g}, {1 - 2 * alpha:.0%} interval {tested.low:.2g} to {tested.high:.2g}, "
        f"margin ±{tested.margin:.2g}"
    )
