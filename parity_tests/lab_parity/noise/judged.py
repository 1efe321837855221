"""A run held against its reruns: as a whole, until reruns part, or step by step, each from the legacy state."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt
from scipy import special

from lab_parity.listing import some_of
from lab_parity.noise.curves import Curves, TensorName
from lab_parity.noise.envelope import FEWEST_RERUNS, Envelope, Judgement, envelope_of, floors_of, heights_of
from lab_parity.noise.parting import first_parted, no_chance_before, parted_at

__all__ = ["Judged", "judge_run", "judge_steps"]

_SATURATED = 0.1
"""Where noise alone carries the parameters this far (relative), distances say nothing about the training."""
_LARGEST_FACTOR = 100.0
"""An envelope that lets pass what is more than a hundred times further than usual proves nothing."""
_CANCELLED = 0.1
"""A gradient that noise moves this far (relative) is a sum of nothing but rounding errors."""
_FEWEST_STEPS = 3
"""A momentum or a second moment that is wrong shows from the second step on."""
_STEPS_A_BIN = 10
"""Of a step-by-step judgement: the middle one of so many is what counts, so that a flipped ReLU does not."""
_FLIPS = {"batch", "forward", "loss", "grad", "buffer"}
"""Phases in which a rounding error can flip something."""
_TOO_FAR = "the migrated run is {factor:.3g} times as far from the legacy one as any rerun (limit {limit:.3g} times)"
Floats = npt.NDArray[np.float64]


@attrs.frozen(slots=True)
class Judged:
    """`rung` is "within-noise", "diverged" (of `row` at step `at`, or for want of any noise) or "inconclusive"."""

    rung: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    at: int = 0
    row: TensorName | None = None
    steps: int = 0
    observations: int = 0
    tolerance: float = 0.0


def judge_run(mine: Curves, others: Sequence[Curves], alpha: float) -> Judged:
    """Free runs: strictly until the first rerun parts, as long as that is at least three steps."""
    noise = _noise(mine, others)
    if isinstance(noise, Judged):
        return noise
    total = int(mine.steps[-1])
    saturated, parted = _saturated(mine.rows, noise.tables), first_parted(noise.heights, noise.heights)
    usable = min(saturated, parted)
    judged = int(mine.steps[usable - 1]) if usable else 0
    why = f"noise alone moves the parameters by {_SATURATED:.0%}" if saturated <= parted else "reruns part by chance"
    too_short = Judged(
        "inconclusive",
        (f"after {judged} of {total} steps {why}: distances say nothing there; give each step the legacy state "
         "(record --from), or compare several seeds",),
        noise.notes,
    )  # fmt: skip
    if not usable:
        return too_short
    envelope = envelope_of(
        [table[:, :usable] for table in noise.tables], mine.steps[:usable], noise.groups, alpha, noise.floor
    )
    found = envelope.judge(mine.apart[:, :usable])
    if not found.inside:
        outside = _outside(mine, envelope, found, noise.notes)
        own = first_parted([heights_of(mine.apart, noise.floor)], noise.heights)
        begins = int(mine.steps[own - 1]) if own else 0
        by_chance = 0 < own < parted and begins >= no_chance_before(judged, len(noise.tables), alpha)
        # An update has nothing that flips: what parts there, with the gradients alike, was made to.
        if by_chance and mine.rows[found.row].phase in _FLIPS and found.bin >= own - 1:
            why = (
                f"{outside.reasons[0]}, from step {begins} on: it may have parted by chance, as reruns do from step "
                f"{judged} on; give each step the legacy state (record --from), or compare several seeds"
            )
            return Judged("inconclusive", (why,), noise.notes)
        return outside
    if judged < min(_FEWEST_STEPS, total):
        return too_short
    notes = list(noise.notes)
    if usable < len(mine.steps):
        notes.append(f"only the first {judged} of {total} steps were judged: then {why}")
    return _inside(mine, envelope, found, notes, judged, mine.apart[:, :usable])


def judge_steps(mine: Curves, others: Sequence[Curves], alpha: float) -> Judged:
    """Runs of which each step (a column of the curves) began in the legacy state, so that none can drift away."""
    noise = _noise(mine, others)
    if isinstance(noise, Judged):
        return noise
    total = mine.apart.shape[1]
    if total < _FEWEST_STEPS:
        return Judged("inconclusive", (f"{total} steps began in the legacy state: keep more",), noise.notes)
    bins = np.array_split(np.arange(total), max(1, total // _STEPS_A_BIN))
    ends = np.array([mine.steps[part[-1]] for part in bins])
    middle = [_middles(table, bins) for table in noise.tables]
    own = _middles(mine.apart, bins)
    envelope = envelope_of(middle, ends, noise.groups, alpha, noise.floor)
    found = envelope.judge(own)
    binned = attrs.evolve(mine, apart=own, steps=np.array([mine.steps[part[0]] for part in bins]))
    if not found.inside:
        return _outside(binned, envelope, found, noise.notes)
    # A fault in few of the steps does not move their middle; chance parts few steps, too, of every run alike.
    usual = _furthest_usual(middle, noise.floor, [len(part) for part in bins])
    counts = [int(parted_at(run, usual).sum()) for run in noise.heights]
    jumps = np.nonzero(parted_at(heights_of(mine.apart, noise.floor), usual))[0]
    chance = 1 / (len(counts) + 1)
    among = len(jumps) + sum(counts)
    if len(jumps) and special.bdtrc(len(jumps) - 1, among, chance) < alpha:
        step, row = int(mine.steps[jumps[0]]) - 1, int(np.nanargmax(_height(mine, noise.floor, usual, jumps[0])))
        what = f"{len(jumps)} of {total} steps are far from the legacy ones, of reruns {sum(counts) / len(counts):.2g}"
        return Judged("diverged", (what,), noise.notes, step, mine.rows[row])
    said = f"each of {total} steps from the legacy state, the last one step {int(mine.steps[-1]) - 1}"
    return _inside(binned, envelope, found, [*noise.notes, said], total, mine.apart)


@attrs.frozen(slots=True, eq=False)
class _Noise:
    """Reruns that differ from the legacy run: distances, their logarithms, the floors, and the rows' phases."""

    tables: Sequence[Floats]
    heights: Sequence[Floats]
    floor: Floats
    groups: Sequence[str]
    notes: tuple[str, ...]


def _noise(mine: Curves, others: Sequence[Curves]) -> _Noise | Judged:
    """The noise that the reruns show, or why there is nothing to hold the run against."""
    tables = [_in_order(other, mine.rows) for other in others]
    # A rerun with the same bits shows that the machine repeats itself, and nothing of what noise does to a training.
    noisy = [table for table in tables if (table > 0).any()]
    same = len(tables) - len(noisy)
    if not noisy:
        return Judged("diverged", notes=("the reruns are bitwise equal: there is no noise to be within",))
    notes: tuple[str, ...] = ()
    if same:
        notes = (f"{same} of {len(tables)} reruns repeat the legacy run bit by bit, and show no noise",)
    if len(noisy) < FEWEST_RERUNS:
        more = f"{notes[0]}: {FEWEST_RERUNS} that do are needed (record --plant bits:1, bits:2, …)"
        return Judged("inconclusive", (more,))
    if mine.unsized:
        name = mine.unsized[0]
        return Judged("inconclusive", (f"{name.phase} {name.name} differs, and nothing tells by how much",), notes)
    if not any(row.phase == "param" for row in mine.rows):
        return Judged("inconclusive", ("no parameter was compared",), notes)
    groups = [row.phase for row in mine.rows]
    floor = floors_of(np.stack(noisy), groups)
    floor, said = _above_cancellation(mine.rows, noisy, floor)
    notes += said
    return _Noise(noisy, [heights_of(table, floor) for table in noisy], floor, groups, notes)


def _above_cancellation(
    rows: Sequence[TensorName], tables: Sequence[Floats], floor: Floats
) -> tuple[Floats, tuple[str, ...]]:
    """The floors, raised for tensors whose gradient is but rounding (a bias before a norm), which kernels do
    differently: to a hundred times what reruns show of the gradient, the parameter and its state.
    """
    usual = np.nanmedian(np.stack(tables), axis=(0, 2))
    cancelled = {row.name for row, far in zip(rows, usual, strict=True) if row.phase == "grad" and far >= _CANCELLED}
    if not cancelled:
        return floor, ()
    raised = floor.copy()
    for place, row in enumerate(rows):
        if row.name in cancelled and row.phase in ("grad", "optimizer", "param", "ema"):
            raised[place] = max(floor[place], np.log10(max(np.nanmax([t[place] for t in tables]), 1e-300)) + 2)
    some = some_of(sorted(cancelled))
    return raised, (f"gradients of {len(cancelled)} tensors are rounding errors alone, loosely judged: {some}",)


def _outside(mine: Curves, envelope: Envelope, found: Judgement, notes: tuple[str, ...]) -> Judged:
    what = _TOO_FAR.format(factor=found.factor, limit=envelope.factor)
    return Judged("diverged", (what,), notes, int(mine.steps[found.bin]) - 1, mine.rows[found.row])


def _inside(
    mine: Curves, envelope: Envelope, found: Judgement, notes: Sequence[str], steps: int, judged: Floats
) -> Judged:
    if envelope.factor > _LARGEST_FACTOR:
        room = f"{envelope.factor:.0f} times the furthest one, more than {_LARGEST_FACTOR:.0f}"
        return Judged("inconclusive", (f"the reruns leave room for {room}: record more of them",), tuple(notes))
    row = mine.rows[found.row]
    where = f"at step {int(mine.steps[found.bin]) - 1}, {row.phase} {row.name} {row.field}".strip()
    limit = f"limit {envelope.factor:.2g} times"
    furthest = f"furthest out {where}: {found.factor:.2g} times the furthest rerun, {limit}"
    if found.factor <= 1 + 1e-9:
        furthest = f"nowhere further out than the furthest rerun, {limit}"
    params = [n for n, name in enumerate(mine.rows) if name.phase == "param"]
    return Judged(
        "within-noise",
        notes=(f"{envelope.reruns} reruns; {furthest}", *notes),
        steps=steps,
        observations=int(np.isfinite(judged).sum()),
        tolerance=float(10 ** (np.nanmax(envelope.line[params]) + envelope.limit)),
    )


def _in_order(curves: Curves, rows: Sequence[TensorName]) -> Floats:
    place = {row: n for n, row in enumerate(curves.rows)}
    table: Floats = curves.apart[[place[row] for row in rows]]
    return table


def _middles(table: Floats, bins: Sequence[npt.NDArray[np.intp]]) -> Floats:
    """(rows, steps) -> (rows, bins): the middle one of each bin's steps, NaN where nothing was compared."""
    found = np.full((len(table), len(bins)), np.nan)
    for place, part in enumerate(bins):
        some = table[:, part]
        known = ~np.isnan(some).all(axis=1)
        found[known, place] = np.nanmedian(some[known], axis=1)
    return found


def _furthest_usual(middle: Sequence[Floats], floor: Floats, lengths: Sequence[int]) -> Floats:
    """(rows, steps) log10 of what the furthest rerun's middle step has."""
    heights = np.fmax.reduce([heights_of(table, floor) for table in middle], axis=0)
    found: Floats = np.repeat(heights, lengths, axis=1)
    return found


def _height(mine: Curves, floor: Floats, usual: Floats, step: int) -> Floats:
    found: Floats = (heights_of(mine.apart, floor) - usual)[:, step]
    return found


def _saturated(rows: Sequence[TensorName], tables: Sequence[Floats]) -> int:
    """How many bins there are before noise alone has carried the parameters too far."""
    params = [n for n, row in enumerate(rows) if row.phase == "param"]
    usual = np.nanmedian(np.stack(tables)[:, params], axis=(0, 1))
    beyond = np.nonzero(usual >= _SATURATED)[0]
    return int(beyond[0]) if beyond.size else usual.size
