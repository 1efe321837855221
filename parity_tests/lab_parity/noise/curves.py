"""How far two runs are apart, tensor by tensor, along their steps; and what may not differ at all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from lab_parity.consequence import CALLED
from lab_parity.errors import ParityError
from lab_parity.pairing import Pairing, Pairs, same_settings, settings_of
from lab_parity.sketch import distance, size
from lab_parity.trace import End, Key, Step, Trace

__all__ = ["Curves", "Exact", "TensorName", "curves_between"]

_EXACT = {"config", "rng"}
"""Phases that noise in arithmetic cannot change: what differs there is another training."""


class TensorName(NamedTuple):
    """What is followed: a phase and a tensor (or single number) in it; `field` for optimizer state."""

    phase: str
    name: str
    field: str


class Exact(NamedTuple):
    """A difference where noise has no say."""

    step: int
    key: Key


@attrs.frozen(slots=True, eq=False)
class Curves:
    """`apart` (rows, bins) is the root mean square relative distance within each bin, NaN where nothing was compared.

    `steps` (bins,) is each bin's last step, counted from 1. `exact` is the first difference that is no noise; so is one
    in a batch, unless reruns differ in it, too, because it is made of what was trained before (a hidden state):
    `batches` are those that differ, with their first difference. `unsized` differ by nobody knows how much, `lost` says
    what was not recorded or has no partner.
    """

    rows: tuple[TensorName, ...]
    apart: npt.NDArray[np.float64]
    steps: npt.NDArray[np.float64]
    exact: Exact | None
    batches: Mapping[TensorName, Exact]
    unsized: tuple[TensorName, ...]
    lost: tuple[str, ...]


def curves_between(a: Trace, b: Trace, bins: int = 48, only: Collection[int] | None = None) -> Curves:
    """Read both to their ends; the bins are even in the logarithm of the step, the first ones single steps.

    With `only`, each of those steps is a bin of its own, and what the others differ by is left out.
    Raises ParityError where the traces hold no summaries or not the same steps, TraceError where one is damaged.
    """
    if not (a.scope.buckets and a.scope.buckets == b.scope.buckets):
        raise ParityError(f"{a.path} and {b.path}: distances need both recorded with --level statistics")
    total = len(a)
    if only is None:
        ends = _last_steps(max(total, 1), bins)
        made = _Sums(len(ends), lambda number, step: int(np.searchsorted(ends, number + 1)))
    else:
        columns = {step: column for column, step in enumerate(sorted(only))}
        made = _Sums(len(columns), lambda number, step: columns.get(step))
    for number, (left, right) in enumerate(itertools.zip_longest(a.steps(), b.steps())):
        if isinstance(left, Step) and isinstance(right, Step):
            if (left.step, left.optimizer, left.micro_steps) != (right.step, right.optimizer, right.micro_steps):
                raise ParityError(f"{b.path}: its step {right.step} is not made like that of {a.path}")
            made.add(number, left, right)
        elif isinstance(left, Step) or isinstance(right, Step):
            raise ParityError(f"{b.path}: not as many steps as {a.path}")
        else:
            made.end((a, left), (b, right))
    return made.curves()


def _last_steps(total: int, bins: int) -> npt.NDArray[np.intp]:
    """(at most bins,) the last recorded step of each bin, counted from 1."""
    return np.unique(np.round(np.geomspace(1, total, bins)).astype(np.intp))


class _Sums:
    """`column` gives the bin of a step by its place among the recorded ones and its number, None for none."""

    def __init__(self, bins: int, column: Callable[[int, int], int | None]) -> None:
        self._column = column
        self._pairing = Pairing()
        self._rows: dict[TensorName, int] = {}
        self._squares = np.zeros((64, bins))
        self._counts = np.zeros((64, bins))
        self._steps = np.zeros(bins)
        self._known: dict[int, tuple[Pairs, npt.NDArray[np.intp], npt.NDArray[np.bool_]]] = {}
        self._exact: Exact | None = None
        self._batches: dict[TensorName, Exact] = {}
        self._agreed: set[str] = set()
        self._unsized: dict[TensorName, None] = {}
        self._lost: dict[str, None] = {}

    def add(self, number: int, a: Step, b: Step) -> None:
        """One pair of steps."""
        self._lost |= dict.fromkeys((*a.notes, *b.notes))
        pairs = self._pairing.of(a, b)
        rows, exact = self._rows_of(pairs)
        equal = (a.digests[pairs.a] == b.digests[pairs.b]).all(axis=1)
        if self._exact is None:
            differing = [int(n) for n in np.nonzero(~equal & exact)[0]]
            wrong = [n for n in differing if not self._excused(pairs.keys[n], a, b, pairs, n)]
            if wrong:
                self._exact = Exact(a.step, pairs.keys[wrong[0]])
        for n in np.nonzero(~equal)[0].tolist():
            if pairs.keys[n].phase == "batch":
                self._batches.setdefault(self._name(pairs.keys[n]), Exact(a.step, pairs.keys[n]))
        self._agreed |= {pairs.keys[n].name for n in pairs.generators if equal[n]}
        place = self._column(number, a.step)
        if place is None:
            return
        found = np.zeros(len(rows))
        differ = np.nonzero(~equal & ~exact)[0]
        if differ.size:
            found[differ] = _relative(a, b, pairs.a[differ], pairs.b[differ])
            for n in differ[np.isnan(found[differ])]:
                self._unsized.setdefault(self._name(pairs.keys[int(n)]))
        known = ~exact & ~np.isnan(found)
        np.add.at(self._squares[:, place], rows[known], np.square(found[known]))
        np.add.at(self._counts[:, place], rows[known], 1)
        self._steps[place] = a.step + 1

    def end(self, *sides: tuple[Trace, End | None]) -> None:
        """Both sides have ended; where both were stopped as asked, that is no loss."""
        whole = "stopped" if all(end is not None and end.status == "stopped" for _, end in sides) else "finished"
        for trace, end in sides:
            if end is not None:
                self._lost |= dict.fromkeys(end.notes)
                if end.status != whole:
                    self._lost.setdefault(f"{trace.path} did not finish by itself ({end.status})")

    def curves(self) -> Curves:
        """What was found."""
        lost = (*self._lost, *self._pairing.unmatched)
        count = len(self._rows)
        squares, counts = self._squares[:count], self._counts[:count]
        apart = np.sqrt(np.divide(squares, counts, out=np.full_like(squares, np.nan), where=counts > 0))
        return Curves(tuple(self._rows), apart, self._steps, self._exact, self._batches, tuple(self._unsized), lost)

    def _rows_of(self, pairs: Pairs) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        known = self._known.get(id(pairs))
        if known is None:
            exact = np.array([_is_exact(key) for key in pairs.keys], bool)
            # Rows that are judged exactly share row 0 of nothing: they are masked out wherever sums are taken.
            names = [self._name(key) for key in pairs.keys]
            for name, out in zip(names, exact, strict=True):
                if not out:
                    self._rows.setdefault(name, len(self._rows))
            while len(self._rows) > len(self._squares):
                self._squares = np.concatenate([self._squares, np.zeros_like(self._squares)])
                self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
            rows = np.array([self._rows.get(name, 0) for name in names], np.intp)
            known = self._known[id(pairs)] = pairs, rows, exact
        return known[1], known[2]

    def _excused(self, key: Key, a: Step, b: Step, pairs: Pairs, n: int) -> bool:
        """As for a bitwise comparison: a generator that nobody seeded, a setting that one side lacks.

        Also what is called around the update, of which the gradients and hyperparameters that come of it are judged.
        """
        if key.phase in CALLED:
            return True
        if key.phase == "rng":
            unseeded = not (np.isnan(a.values[pairs.a[n]]) and np.isnan(b.values[pairs.b[n]]))
            return unseeded and key.name not in self._agreed
        return key.field == "hyper" and same_settings(settings_of(a, int(pairs.a[n])), settings_of(b, int(pairs.b[n])))

    @staticmethod
    def _name(key: Key) -> TensorName:
        return TensorName(key.phase, key.name, key.field)


def _is_exact(key: Key) -> bool:
    return key.phase in _EXACT | CALLED or key.field == "hyper"


def _relative(a: Step, b: Step, left: npt.NDArray[np.intp], right: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """||a - b|| / max(||a||, ||b||) of differing observations; NaN where nothing tells."""
    assert a.summaries is not None
    assert b.summaries is not None
    first, second = a.summaries[left], b.summaries[right]
    mine, other = a.values[left], b.values[right]
    with np.errstate(all="ignore"):
        tensors = distance(first, second) / np.fmax(size(first), size(second))
        numbers = np.abs(mine - other) / np.fmax(np.abs(mine), np.abs(other))
    found: npt.NDArray[np.float64] = np.where(np.isnan(tensors), numbers, tensors)
    return found
