"""The envelope that reruns span, and whether another run lies inside.

Input are distances from the legacy run, (rows, bins): per tensor, per stretch of steps. The logarithm of the
furthest rerun's is modelled per row as a broken line in log(step), which follows power laws, exponential growth and
saturation alike; where the furthest rerun stands above it (at a sudden onset) the line follows it. Reruns may be of
several kinds, of which some show less noise than others. A run's excess is the largest height of its log-distance over
that line, over all rows and bins, so that one number per run is judged
and no correction for many tensors and steps is needed. The excess of each rerun is measured against a line through the
others; the limit is the upper prediction bound of one further run from a normal population (Hahn 1969): mean +
t(1 - alpha, n - 1) · s · sqrt(1 + 1/n).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = ["FEWEST_RERUNS", "Envelope", "Judgement", "envelope_of", "floors_of", "heights_of"]

FEWEST_RERUNS = 3
_KNOTS = 6
_RIDGE = 1e-3
Floats = npt.NDArray[np.float64]


@attrs.frozen(slots=True, eq=False)
class Judgement:
    """Where a run is first too far out, or else furthest out: (row, bin), and by which factor over the line."""

    row: int
    bin: int
    factor: float
    inside: bool


@attrs.frozen(slots=True, eq=False)
class Envelope:
    """`line` (rows, bins) is the log10 distance of the furthest of `reruns`, `limit` the allowed log10 height over it,
    `floor` (rows,) the log10 distance below which nothing counts."""

    line: Floats
    limit: float
    floor: Floats
    reruns: int

    @property
    def factor(self) -> float:
        """How many times further than every rerun a run may be."""
        return float(10**self.limit)

    def judge(self, distances: Floats) -> Judgement:
        """Judge one run's distances (rows, bins); NaN where nothing was compared."""
        height = heights_of(distances, self.floor) - self.line
        height = np.where(np.isnan(height), -np.inf, height)
        row, place = (int(n) for n in np.unravel_index(int(np.argmax(height)), height.shape))
        inside = bool(height[row, place] <= self.limit)
        if not inside:
            place = int(np.argmax((height > self.limit).any(axis=0)))
            row = int(np.argmax(height[:, place] > self.limit))
        return Judgement(row, place, float(10 ** height[row, place]), inside)


def envelope_of(
    reruns: Sequence[Floats],
    steps: Floats,
    groups: Sequence[object],
    alpha: float = 0.01,
    floor: Floats | None = None,
) -> Envelope:
    """The envelope of reruns' distances (rows, bins) from the run that they repeat; `steps` (bins,) are counted from 1.

    A row's floor is the smallest distance above zero that a rerun shows in it, or where none does, in the rows of its
    group; `groups` (rows,) names them. `floor` (rows,) is given where more is known.

    Raises ValueError for fewer than FEWEST_RERUNS, and where no rerun shows any distance.
    """
    if len(reruns) < FEWEST_RERUNS:
        raise ValueError(f"{len(reruns)} reruns, at least {FEWEST_RERUNS} are needed")
    table = np.stack(reruns)
    if not (table > 0).any():
        raise ValueError("the reruns are bitwise equal: there is no noise to be within")
    floor = floors_of(table, groups) if floor is None else floor
    heights = heights_of(table, floor)
    basis = _basis(steps)
    excess = []
    for left_out in range(len(reruns)):
        line = _line(_furthest(np.delete(heights, left_out, axis=0)), basis)
        excess.append(float(np.nanmax(heights[left_out] - line)))
    count = len(excess)
    spread = float(np.std(excess, ddof=1))
    limit = float(np.mean(excess) + special.stdtrit(count - 1, 1 - alpha) * spread * np.sqrt(1 + 1 / count))
    return Envelope(_line(_furthest(heights), basis), max(limit, 0.0), floor, count)


def _furthest(heights: Floats) -> Floats:
    """(runs, rows, bins) -> (rows, bins): of the run that is furthest there, NaN where nothing was compared."""
    found: Floats = np.fmax.reduce(heights, axis=0)
    return found


def floors_of(table: Floats, groups: Sequence[object]) -> Floats:
    """(rows,) log10 of the distance below which nothing counts, from reruns' distances (reruns, rows, bins)."""
    names = list(dict.fromkeys(groups))
    member = np.array([names.index(group) for group in groups])
    smallest = np.log10(np.min(table[table > 0]))
    floors = np.full(len(groups), smallest)
    for number in range(len(names)):
        some = table[:, member == number]
        if (some > 0).any():
            floors[member == number] = np.log10(np.min(some[some > 0]))
    # A small tensor is either equal or a whole unit in the last place apart: its own smallest distance is what counts.
    own = np.where(table > 0, table, np.inf).min(axis=(0, 2))
    return np.where(np.isfinite(own), np.log10(np.where(np.isfinite(own), own, 1.0)), floors)


def heights_of(distances: Floats, floor: Floats) -> Floats:
    """log10 of distances (…, rows, bins), none below its row's floor."""
    with np.errstate(divide="ignore"):
        found: Floats = np.maximum(np.log10(distances), floor[:, None])
    return found


def _basis(steps: Floats) -> Floats:
    """(bins, knots): hat functions over log(step)."""
    place = np.log10(steps)
    knots = np.linspace(place[0], place[-1], min(_KNOTS, len(steps)))
    if len(knots) < 2:
        return np.ones((len(steps), 1))
    hats: Floats = np.clip(1 - np.abs(place[:, None] - knots) / (knots[1] - knots[0]), 0, None)
    return hats


def _line(heights: Floats, basis: Floats) -> Floats:
    """The broken line through (rows, bins), its bends damped a little so that no knot hangs on one bin."""
    known = ~np.isnan(heights)
    centre = np.where(known.any(axis=1), np.nansum(heights, axis=1) / np.maximum(known.sum(axis=1), 1), 0.0)
    rest = np.where(known, heights - centre[:, None], 0.0)
    normal = basis.T @ basis + _RIDGE * np.eye(basis.shape[1])
    line: Floats = (np.linalg.solve(normal, basis.T @ rest.T)).T @ basis.T + centre[:, None]
    return np.fmax(line, heights)
