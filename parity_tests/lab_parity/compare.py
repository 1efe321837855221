"""Compare two traces, step by step, in causal order, in constant memory."""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from lab_parity.phases import PHASES
from lab_parity.structures import difference
from lab_parity.trace import End, Key, Step, Trace, read
from lab_parity.verdict import Coverage, Divergence, Verdict

__all__ = ["compare"]

_BY_PARAMETER = {"config", "grad", "reduce", "optimizer", "param", "buffer", "ema"}
_NOT_COMPARED = {"command", "folder"}


def compare(a: Trace | str | os.PathLike[str], b: Trace | str | os.PathLike[str]) -> Verdict:
    """The verdict on two runs: `a` is the legacy side, `b` the migrated one.

    Raises TraceError when a file is missing, is no trace or is damaged.
    """
    a, b = (side if isinstance(side, Trace) else read(side) for side in (a, b))
    environment = {
        name: (a.environment.get(name, "absent"), b.environment.get(name, "absent"))
        for name in sorted({*a.environment, *b.environment} - _NOT_COMPARED)
        if a.environment.get(name) != b.environment.get(name)
    }
    return _Comparison().run(a.steps(), b.steps()).verdict(environment)


class _Side:
    """Canonical names of one side: relative to the innermost module that holds an optimizer's parameters."""

    def __init__(self) -> None:
        self._prefixes: dict[str, str] = {}
        self._layouts: dict[tuple[str, int], list[Key]] = {}
        self.texts: dict[str, str] = {}
        self.outside: set[str] = set()

    def keys(self, step: Step) -> list[Key]:
        """The step's keys under canonical names, in row order."""
        self.texts.update(step.texts)
        if step.optimizer not in self._prefixes:
            self._prefixes[step.optimizer] = _common_prefix(
                part for key in step.keys if key.phase == "config" for part in key.name.split("|")
            )
        known = self._layouts.get((step.optimizer, step.layout))
        if known is None:
            prefix = self._prefixes[step.optimizer]
            self.outside |= {key.name for key in step.keys if key.phase == "buffer" and not key.name.startswith(prefix)}
            known = [
                key._replace(name="|".join(sorted(part.removeprefix(prefix) for part in key.name.split("|"))))
                if key.phase in _BY_PARAMETER
                else key
                for key in step.keys
            ]
            self._layouts[step.optimizer, step.layout] = known
        return known


def _common_prefix(names: Iterable[str]) -> str:
    """The dotted path, with its last dot, that all names share; their last part never belongs to it."""
    columns = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = itertools.takewhile(lambda parts: len(set(parts)) == 1, columns)
    return "".join(f"{parts[0]}." for parts in shared)


@attrs.frozen(slots=True, eq=False)
class _Pairs:
    """Which rows of two layouts are about the same: row numbers of each side; which pairs; how many per phase."""

    a: npt.NDArray[np.intp]
    b: npt.NDArray[np.intp]
    generators: Sequence[int]
    counts: Counter[str]


class _Comparison:
    """What has been found so far."""

    def __init__(self) -> None:
        self.a, self.b = _Side(), _Side()
        self.steps = self.micro_steps = self.observations = 0
        self.tensors: set[tuple[str, str]] = set()
        self.counts: Counter[str] = Counter()
        self.unmatched: dict[str, None] = {}
        self.lost: dict[str, None] = {}
        self.notes: dict[str, None] = {}
        self.reasons: list[str] = []
        self.first: Divergence | None = None
        self.affected: dict[str, int] = {}
        self.details = ""
        self._agreed: set[str] = set()
        self._pairings: dict[tuple[str, int, int], _Pairs] = {}

    def run(self, a: Iterable[Step | End], b: Iterable[Step | End]) -> _Comparison:
        """Compare until the first difference or the end."""
        for left, right in itertools.zip_longest(a, b):
            if not (isinstance(left, Step) and isinstance(right, Step)):
                self.end(left, right)
                break
            self.step(left, right)
            if self.first is not None:
                break
        return self

    def step(self, a: Step, b: Step) -> None:
        """Compare one step with its counterpart."""
        self.lost |= dict.fromkeys((*a.notes, *b.notes))
        if a.optimizer != b.optimizer:
            what = f"optimizer {a.optimizer} steps on one side, {b.optimizer} on the other"
            self.first = Divergence(a.step, None, "optimizer", "", what)
            return
        keys = self.a.keys(a)
        pairs = self._pairs(a, b)
        self.steps += 1
        self.micro_steps += min(a.micro_steps, b.micro_steps)
        self.observations += len(pairs.a)
        self.counts += pairs.counts
        unequal = (a.digests[pairs.a] != b.digests[pairs.b]).any(axis=1)
        places = np.nonzero(unequal)[0]
        differ = [(int(pairs.a[place]), int(pairs.b[place])) for place in places]
        differ = [(left, right) for left, right in differ if not self._excused(keys[left], a, b, left, right)]
        self._agreed |= {keys[pairs.a[place]].name for place in pairs.generators if not unequal[place]}
        after_all_micro_steps = not differ or (keys[differ[0][0]].micro < 0 and keys[differ[0][0]].phase != "config")
        if a.micro_steps != b.micro_steps and after_all_micro_steps:
            micro = min(a.micro_steps, b.micro_steps)
            what = f"{a.micro_steps} micro-steps against {b.micro_steps}"
            self.first = Divergence(a.step, micro, "loss", "", what, a.micro_steps, b.micro_steps)
        elif differ:
            self._diverge(a, b, keys, differ)

    def _pairs(self, a: Step, b: Step) -> _Pairs:
        layouts = (a.optimizer, a.layout, b.layout)
        if layouts not in self._pairings:
            keys_a, keys_b = self.a.keys(a), self.b.keys(b)
            if len(set(keys_a)) != len(keys_a) or len(set(keys_b)) != len(keys_b):
                self.unmatched.setdefault("several tensors of one name in one step")
            where = {key: place for place, key in enumerate(keys_b)}
            both = [(place, where[key]) for place, key in enumerate(keys_a) if key in where]
            matched = [keys_a[place] for place, _ in both]
            self.tensors |= {(a.optimizer, key.name) for key in matched if key.phase in _BY_PARAMETER}
            self._note_unmatched("first", self.a, keys_a, set(keys_b))
            self._note_unmatched("second", self.b, keys_b, set(keys_a))
            self._pairings[layouts] = _Pairs(
                np.array([left for left, _ in both], np.intp),
                np.array([right for _, right in both], np.intp),
                [place for place, key in enumerate(matched) if key.phase == "rng"],
                Counter(key.phase for key in matched),
            )
        else:
            self.b.keys(b)
        return self._pairings[layouts]

    def _note_unmatched(self, which: str, side: _Side, keys: Sequence[Key], others: set[Key]) -> None:
        for key in keys:
            if key in others:
                continue
            if key.phase == "buffer" and key.name in side.outside:
                # The training framework's own, or of a module beside the trained one.
                self.notes.setdefault(f"buffer {key.name}, outside the trained module, is only in the {which} trace")
            else:
                self.unmatched.setdefault(f"only in the {which} trace: {key.phase} {key.name} {key.field}".strip())

    def _excused(self, key: Key, a: Step, b: Step, left: int, right: int) -> bool:
        """Whether a difference says nothing about the training; then it is noted.

        A generator that a run never seeded starts from the clock: its states are evidence only after they have
        been equal once.
        """
        unseeded = not (np.isnan(a.values[left]) and np.isnan(b.values[right]))
        if key.phase == "rng" and unseeded and key.name not in self._agreed:
            self.notes.setdefault(f"not both runs seeded {key.name}'s generator: its states were not compared")
            self.counts["rng"] -= 1
            return True
        return self._same_hyper(key, a, b, left, right)

    def _same_hyper(self, key: Key, a: Step, b: Step, left: int, right: int) -> bool:
        """Hyperparameters agree when those that both sides have agree; the others are noted."""
        if key.phase != "optimizer" or key.field != "hyper":
            return False
        mine, other = self._hyper(a, left, self.a), self._hyper(b, right, self.b)
        if not mine or not other:
            return False
        for name in sorted(mine.keys() ^ other.keys()):
            self.notes.setdefault(f"hyperparameter {name} exists on one side only, and was not compared")
        return bool(mine.keys() & other.keys()) and all(
            mine[name] == other[name] for name in mine.keys() & other.keys()
        )

    @staticmethod
    def _hyper(step: Step, place: int, side: _Side) -> dict[str, object]:
        found = json.loads(side.texts.get(step.digests[place].tobytes().hex(), "{}"))
        return found if isinstance(found, dict) else {}

    def _diverge(self, a: Step, b: Step, keys: Sequence[Key], differ: list[tuple[int, int]]) -> None:
        self.details = difference(*self._shown(a, b, keys, differ))
        self.affected = dict(Counter(keys[left].phase for left, _ in differ))
        left, right = differ[0]
        key = keys[left]
        what = "the bits differ"
        values = tuple(None if np.isnan(v) else float(v) for v in (a.values[left], b.values[right]))
        tensor = " ".join(part for part in (key.name, key.field) if part)
        if key.field == "hyper":
            mine, other = self._hyper(a, left, self.a), self._hyper(b, right, self.b)
            field = next((n for n in sorted(mine) if n in other and mine[n] != other[n]), "")
            tensor = f"{key.name} {field}"
            what, values = f"{field} is {mine.get(field)!r} against {other.get(field)!r}", (None, None)
        micro = key.micro if key.micro >= 0 else None
        self.first = Divergence(a.step, micro, key.phase, tensor, what, *values)

    def _shown(
        self, a: Step, b: Step, keys: Sequence[Key], differ: list[tuple[int, int]]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What differs on both sides, as {phase: {tensor: number, hyperparameters or digest}}."""
        shown: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for places in differ:
            key = keys[places[0]]
            for mine, step, side, place in zip(shown, (a, b), (self.a, self.b), places, strict=True):
                value = float(step.values[place])
                plain: Any = step.digests[place].tobytes().hex()[:8] if np.isnan(value) else value
                if key.field == "hyper":
                    plain = self._hyper(step, place, side)
                name = " ".join(part for part in (key.name, key.field) if part)
                mine.setdefault(key.phase, {})[name if key.micro < 0 else f"{name} @{key.micro}"] = plain
        return shown

    def end(self, a: Step | End | None, b: Step | End | None) -> None:
        """At least one side has no further step."""
        for side, item in (("first", a), ("second", b)):
            self.lost |= dict.fromkeys(item.notes if item is not None else ())
            if isinstance(item, End) and item.status != "finished":
                detail = f": {item.detail}" if item.detail else ""
                self.reasons.append(f"the {side} trace did not finish by itself ({item.status}{detail})")
        if not self.reasons and (isinstance(a, Step) or isinstance(b, Step)):
            longer, shorter = ("first", "second") if isinstance(a, Step) else ("second", "first")
            self.first = Divergence(
                self.steps, None, "optimizer", "",
                f"the {longer} run takes this step, the {shorter} finished by itself before it",
            )  # fmt: skip

    def verdict(self, environment: dict[str, tuple[str, str]]) -> Verdict:
        """The strongest rung that holds; the rungs between identical and diverged need more runs than two."""
        reasons = list(self.reasons)
        if self.steps == 0 and self.first is None:
            reasons.append("no step was compared")
        if self.unmatched:
            some = "; ".join(itertools.islice(self.unmatched, 3))
            reasons.append(
                f"{len(self.unmatched)} observations have no partner ({some}{', …' * (len(self.unmatched) > 3)})"
            )
        reasons += [f"not recorded: {note}" for note in self.lost]
        if self.first is None and not self.counts["param"] and self.steps:
            reasons.append("no parameter was compared")
        coverage = Coverage(
            self.steps, self.micro_steps, len(self.tensors), self.counts["batch"], self.counts["rng"],
            self.observations, tuple(self.unmatched), tuple(phase for phase in PHASES if not self.counts[phase]),
        )  # fmt: skip
        rung = "diverged" if self.first is not None else "inconclusive" if reasons else "identical"
        return Verdict(
            rung, coverage, self.first, tuple(reasons), tuple(self.notes), self.affected, environment, self.details
        )
