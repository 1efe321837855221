"""Two whole runs beside each other, also behind their first difference: losses, and how far each tensor is apart.

A survey has a bounded size whatever the length of the runs: steps are gathered in bins, of which the largest distance
(and the mean, smallest and largest loss) is kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from lab_parity.pairing import Pairing, Pairs
from lab_parity.phases import PHASES
from lab_parity.sketch import distance, size
from lab_parity.trace import Key, Step, Trace

__all__ = ["Curve", "MapRow", "Survey", "survey"]

_BINS = 320
_GROUP_ROWS = 60
Floats = npt.NDArray[np.float64]


class MapRow(NamedTuple):
    """A row of the map: one observation in one phase, or several (`members`) of one module taken together."""

    phase: str
    name: str
    members: int = 1


@attrs.frozen(slots=True, eq=False)
class Curve:
    """The losses of one optimizer's steps on one side, by bin; NaN where there is none."""

    optimizer: str
    mean: Floats
    low: Floats
    high: Floats


@attrs.frozen(slots=True, eq=False)
class Survey:
    """What two runs look like beside each other.

    `starts` (bins,) and `ends` are the first and last step of each bin. `far` (rows, bins) is the largest relative
    distance ||a - b|| / max(||a||, ||b||): 0 where all was bitwise equal, NaN where nothing was compared, and inf where
    the digests differ and nothing tells by how much. Rows are in causal order. `curves` are the first run's, then the
    second's.
    """

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    rows: Sequence[MapRow]
    far: Floats
    curves: tuple[Sequence[Curve], Sequence[Curve]]
    sized: bool


def survey(a: Trace, b: Trace, bins: int = _BINS, group_rows: int = _GROUP_ROWS) -> Survey:
    """Read both traces to their ends. Raises TraceError when one is damaged.

    Phases with more than `group_rows` tensors are taken together by module.
    """
    total = max(len(a), len(b), 1)
    bins = min(bins, total)
    made, losses = _Map(bins), (_Losses(bins), _Losses(bins))
    starts, ends = np.full(bins, -1, np.int64), np.full(bins, -1, np.int64)
    for number, pair in enumerate(itertools.zip_longest(a.steps(), b.steps())):
        steps = [item for item in pair if isinstance(item, Step)]
        if not steps:
            break
        place = number * bins // total
        starts[place] = steps[0].step if starts[place] < 0 else starts[place]
        ends[place] = steps[0].step
        for loss, item in zip(losses, pair, strict=True):
            if isinstance(item, Step):
                loss.add(place, item)
        if len(steps) == 2 and steps[0].optimizer == steps[1].optimizer:
            made.add(place, steps[0], steps[1])
    rows, far = _grouped(*made.ordered(), group_rows)
    sized = bool(a.scope.buckets and b.scope.buckets)
    return Survey(starts, ends, rows, far, (losses[0].curves(), losses[1].curves()), sized)


class _Losses:
    def __init__(self, bins: int) -> None:
        self._bins = bins
        self._found: dict[str, Floats] = {}
        self._places: dict[tuple[str, str], npt.NDArray[np.intp]] = {}

    def add(self, place: int, step: Step) -> None:
        """The mean loss of the step's micro-steps."""
        known = self._places.get((step.optimizer, step.layout))
        if known is None:
            known = np.array([n for n, key in enumerate(step.keys) if key.phase == "loss"], np.intp)
            self._places[step.optimizer, step.layout] = known
        values = step.values[known]
        if not len(values) or np.isnan(values).all():
            return
        loss = float(np.nanmean(values))
        table = self._found.get(step.optimizer)
        if table is None:
            table = self._found[step.optimizer] = np.array([[0.0], [0.0], [np.inf], [-np.inf]]).repeat(self._bins, 1)
        table[:, place] = (
            table[0, place] + loss, table[1, place] + 1, min(table[2, place], loss), max(table[3, place], loss),
        )  # fmt: skip

    def curves(self) -> list[Curve]:
        """One per optimizer, in the order of their first steps."""
        made = []
        for optimizer, (total, count, low, high) in self._found.items():
            some = count > 0
            mean = np.divide(total, count, out=np.full_like(total, np.nan), where=some)
            made.append(Curve(optimizer, mean, np.where(some, low, np.nan), np.where(some, high, np.nan)))
        return made


class _Map:
    def __init__(self, bins: int) -> None:
        self._pairing = Pairing()
        self._rows: dict[MapRow, int] = {}
        self._far = np.full((64, bins), np.nan)
        self._known: dict[int, tuple[Pairs, npt.NDArray[np.intp]]] = {}

    def add(self, place: int, a: Step, b: Step) -> None:
        """Distances of one pair of steps."""
        pairs = self._pairing.of(a, b)
        rows = self._rows_of(a.optimizer, pairs)
        found = np.where((a.digests[pairs.a] == b.digests[pairs.b]).all(axis=1), 0.0, np.inf)
        differ = np.nonzero(found)[0]
        if differ.size:
            found[differ] = _relative(a, b, pairs.a[differ], pairs.b[differ])
            # What a generator that nobody seeded does is no evidence.
            drawn = [n for n in pairs.generators if not np.isnan(a.values[pairs.a[n]] + b.values[pairs.b[n]])]
            found[drawn] = np.where(found[drawn] == 0, 0.0, np.nan)
        np.fmax.at(self._far[:, place], rows, found)

    def ordered(self) -> tuple[list[MapRow], Floats]:
        """Rows in causal order, as they first appeared within a phase."""
        order = sorted(self._rows, key=lambda row: PHASES.index(row.phase.split(" ")[0]))
        return order, self._far[[self._rows[row] for row in order]]

    def _rows_of(self, optimizer: str, pairs: Pairs) -> npt.NDArray[np.intp]:
        known = self._known.get(id(pairs))
        if known is None:
            labels = [_label(key) for key in pairs.keys]
            for label in labels:
                self._rows.setdefault(label, len(self._rows))
            while len(self._rows) > len(self._far):
                self._far = np.concatenate([self._far, np.full_like(self._far, np.nan)])
            # The pairs are kept, so that their identity is not given to others.
            known = self._known[id(pairs)] = pairs, np.array([self._rows[label] for label in labels], np.intp)
        return known[1]


def _label(key: Key) -> MapRow:
    if key.phase == "optimizer":
        return MapRow("optimizer settings" if key.field == "hyper" else "optimizer state", key.name)
    if key.phase in ("batch", "forward", "loss"):
        return MapRow(key.phase, key.name)
    return MapRow(key.phase, " ".join(part for part in (key.name, key.field) if part))


def _relative(a: Step, b: Step, left: npt.NDArray[np.intp], right: npt.NDArray[np.intp]) -> Floats:
    """Relative distances of differing observations: of the tensors, else of the numbers, else inf."""
    mine, other = a.values[left], b.values[right]
    with np.errstate(all="ignore"):
        found = np.abs(mine - other) / np.fmax(np.abs(mine), np.abs(other))
        if a.summaries is not None and b.summaries is not None and a.summaries.shape[1] == b.summaries.shape[1]:
            first, second = a.summaries[left], b.summaries[right]
            apart = distance(first, second) / np.fmax(size(first), size(second))
            found = np.where(np.isnan(apart), found, apart)
    # Equal numbers whose bits differ (the sign of zero, a dtype, a setting beside the learning rate).
    return np.where(np.isnan(found) | (found == 0), np.inf, found)


def _grouped(rows: Sequence[MapRow], far: Floats, most: int) -> tuple[list[MapRow], Floats]:
    made: list[MapRow] = []
    parts: list[Floats] = []
    for phase in dict.fromkeys(row.phase for row in rows):
        members = [n for n, row in enumerate(rows) if row.phase == phase]
        for name, some in _by_module({n: rows[n].name for n in members}, most).items():
            made.append(MapRow(phase, name, len(some)))
            parts.append(np.fmax.reduce(far[some], axis=0))
    return made, np.array(parts).reshape(len(made), far.shape[1])


def _by_module(names: Mapping[int, str], most: int) -> dict[str, list[int]]:
    """Places by name; by the deepest module path that leaves at most `most` of them; at worst by neighbourhood."""
    depth = max((name.count(".") for name in names.values()), default=0) + 1
    for parts in range(depth, 0, -1):
        found: dict[str, list[int]] = {}
        for place, name in names.items():
            split = name.split("|")[0].split(".")
            found.setdefault(name if parts == depth else ".".join(split[:parts]), []).append(place)
        if len(found) <= most:
            return found
    places = list(names)
    chunk = -(-len(places) // most)
    runs = [places[start : start + chunk] for start in range(0, len(places), chunk)]
    return {f"{names[run[0]]} … {names[run[-1]]}": run for run in runs}
