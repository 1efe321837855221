"""A comparison of two traces as it goes on: step by step, in causal order, in constant memory."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from lab_parity.averages import LONE, Averages
from lab_parity.blocks import Block
from lab_parity.condense import CONDENSED
from lab_parity.consequence import CALLED, counts
from lab_parity.continued import Continued
from lab_parity.evaluated import APART, LEFT, EvaluationsApart
from lab_parity.first import divergence_at, told
from lab_parity.keys import AT_FORWARD
from lab_parity.ledger import Drawn
from lab_parity.listing import some_of
from lab_parity.pairing import Pairing, Pairs, same_settings, settings_of
from lab_parity.phases import PHASES
from lab_parity.pieces import PIECES, Pieces, same_update
from lab_parity.shards import sharded_alone
from lab_parity.sparse import sparse_alone
from lab_parity.trace import End, Index, Key, Step, Trace
from lab_parity.turns import other_order
from lab_parity.verdict import Coverage, Divergence, Verdict

__all__ = ["Comparison"]


class Comparison:
    """What has been found so far."""

    def __init__(self, a: Trace, b: Trace, phases: Collection[str] = PHASES) -> None:
        self._a, self._b, self._phases = a, b, phases
        self.pairing = Pairing()
        self._continued = Continued()
        self._averages, self._averages_at_forward = Averages(), Averages(AT_FORWARD)
        self.steps = self.micro_steps = self.observations = 0
        self.counts: Counter[str] = Counter()
        self.lost: dict[str, None] = {}
        self.notes = self.pairing.notes
        self.reasons: list[str] = []
        self.first: Divergence | None = None
        self.affected: dict[str, int] = {}
        self.details = ""
        self._agreed: set[str] = set()
        self._optimizers: set[str] = set()
        self._evaluations = EvaluationsApart()
        self._pieces = Pieces()
        #: What is noted once, though it may differ in every step.
        self._noted: set[str] = set()
        self._before: tuple[Sequence[Drawn], Sequence[Drawn]] | None = None

    def run(self) -> Comparison:
        """Compare until the first difference or the end."""
        every = self._a.scope.every, self._b.scope.every
        if every[0] != every[1]:
            self.reasons.append(
                f"one side recorded every {every[0]} steps, the other every {every[1]}: record both alike"
            )
            return self
        kinds = [side.environment.get("digests", "of the CPU") for side in (self._a, self._b)]
        if kinds[0] != kinds[1]:
            self.reasons.append(
                f"one side's fingerprints are {kinds[0]}, the other's {kinds[1]}: train both on one kind of device"
            )
            return self
        if len({CONDENSED in side.environment for side in (self._a, self._b)}) > 1:
            self.reasons.append(
                "one side was made of a golden that has one fingerprint for each phase: compare with the golden "
                "itself, or export it with --level tensor"
            )
            return self
        if every[0] > 1:
            self.notes.setdefault(
                f"one of every {every[0]} steps was recorded: a difference may be up to that much older"
            )
        a, b = self._a.index(), self._b.index()
        if a is None or b is None:
            self._walk(self._a.steps(), self._b.steps(), None, None)
        else:
            self._by_blocks(a, b)
        return self

    def _by_blocks(self, a: Index, b: Index) -> None:
        for left, right in itertools.zip_longest(a.blocks, b.blocks):
            if left is not None and right is not None and self._skip(left, right):
                continue
            mine = () if left is None else self._a.steps(left)
            other = () if right is None else self._b.steps(right)
            if self._walk(mine, other, a.end, b.end):
                return
        self.end(a.end, b.end)

    def _walk(self, a: Iterable[Step | End], b: Iterable[Step | End], end_a: End | None, end_b: End | None) -> bool:
        """Compare steps until the first difference or an end; whether there was one. The ends are for steps alone."""
        for left, right in itertools.zip_longest(a, b):
            left, right = left or end_a, right or end_b
            if not (isinstance(left, Step) and isinstance(right, Step)):
                self.end(left, right)
                return True
            self.step(left, right)
            if self.first is not None:
                return True
        return False

    def _skip(self, a: Block, b: Block) -> bool:
        """Whether two blocks are equal by their digests; then they count as compared without being read.

        Only blocks whose every layout has been read before: what has no partner is then known.
        """
        alike = (a.steps, a.micro_steps, a.root, a.hyper) == (b.steps, b.micro_steps, b.root, b.hyper)
        if not alike or a.notes or b.notes or (a.outside and b.outside and a.outside != b.outside):
            return False
        others = {(layout.optimizer, layout.canonical): (layout, count) for layout, count in b.layouts.items()}
        pairs = []
        for layout, count in a.layouts.items():
            partner, same = others.get((layout.optimizer, layout.canonical), (layout, -1))
            known = self.pairing.known(layout.optimizer, layout.raw, partner.raw)
            if known is None or count != same:
                return False
            pairs.append((known, count))
        differ = {name for name in a.generators if a.generators[name][0] != b.generators.get(name, ("", False))[0]}
        seeded = {name for name in a.generators if a.generators[name][1] and b.generators.get(name, ("", True))[1]}
        if differ & (self._agreed | seeded) or not len(a.layouts) == len(b.layouts) == len(others):
            return False
        self._agreed |= a.generators.keys() - differ
        self._optimizers |= {layout.optimizer for layout in a.layouts}
        self.steps += a.steps
        self.micro_steps += a.micro_steps
        for known, count in pairs:
            self.observations += count * len(known.a)
            self.counts += Counter({phase: count * number for phase, number in known.counts.items()})
            self.counts["rng"] -= count * sum(known.keys[place].name in differ for place in known.generators)
        return True

    def step(self, a: Step, b: Step) -> None:
        """Compare one step with its counterpart."""
        self.lost |= dict.fromkeys((*a.notes, *b.notes))
        if a.step != b.step:
            what = f"the first run recorded its step {a.step} where the second recorded its step {b.step}"
            self.first = Divergence(min(a.step, b.step), None, "optimizer", "", what)
            return
        a, b = self._continued.of(a, b)
        if a.optimizer != b.optimizer:
            what = f"optimizer {a.optimizer} steps on one side, {b.optimizer} on the other"
            self.first = Divergence(a.step, None, "optimizer", "", what)
            return
        self._optimizers.add(a.optimizer)
        pairs = self.pairing.of(a, b)
        keys = self.pairing.a.keys(a)
        if pairs.counts["config"]:  # where an optimizer begins
            note = sparse_alone(a, b)
            self.notes |= {note: None} if note else {}
        self.steps += 1
        self.micro_steps += min(a.micro_steps, b.micro_steps)
        self.observations += len(pairs.a)
        self.counts += pairs.counts
        unequal = (a.digests[pairs.a] != b.digests[pairs.b]).any(axis=1)
        places = np.nonzero(unequal)[0]
        differ = [(int(pairs.a[place]), int(pairs.b[place])) for place in places]
        differ = [(left, right) for left, right in differ if not self._excused(keys[left], a, b, left, right)]
        other_passes = a.micro_steps != b.micro_steps and same_update(pairs, keys, differ)
        if other_passes:
            differ = self._without_other_passes(a, b, keys, differ)
        differ = self._without_other_pieces(a, b, pairs, keys, differ)
        differ = [(left, right) for left, right in differ if keys[left].phase in self._phases]
        others = self.pairing.b.keys(b)
        if self._averages_at_forward.agree(a, keys, b, others):
            differ = self._without_renumbered(keys, differ, AT_FORWARD)
        agree = self._averages.agree(a, keys, b, others)
        if self._averages.lone == "first":
            self.pairing.unmatched.setdefault(f"only in the first trace: {LONE}")
        elif self._averages.lone:
            # A migrated program may register what the legacy one makes on its way, where it is not seen.
            self._note_once("average", f"only in the second trace: {LONE}. It was compared with nothing")
        if agree:
            differ = self._without_renumbered(keys, differ, "")
        elif agree is False and all(keys[left].phase != "ema" for left, _ in differ):
            self.pairing.unmatched.setdefault(f"an average that changes before step {a.step} in one run only")
        if any(keys[left].phase in CALLED for left, _ in differ):
            differ = self._with_consequence(a, b, keys, differ)
        self._agreed |= {pairs.keys[place].name for place in pairs.generators if not unequal[place]}
        after_all_micro_steps = not differ or (keys[differ[0][0]].micro < 0 and keys[differ[0][0]].phase != "config")
        unequal_passes = a.micro_steps != b.micro_steps and not other_passes
        if unequal_passes and after_all_micro_steps and "loss" in self._phases:
            micro = min(a.micro_steps, b.micro_steps)
            what = f"{a.micro_steps} micro-steps against {b.micro_steps}"
            self.first = Divergence(a.step, micro, "loss", "", what, a.micro_steps, b.micro_steps)
        elif differ:
            self._diverge(a, b, keys, differ)
        self._before = a.ledger, b.ledger

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
        if key.phase == "optimizer" and key.field != "hyper" and 0 != a.values[left] == b.values[right]:
            # A counter of steps, mostly: a number on one side, a tensor on the other, or of another type.
            self._note_once(
                f"state {key.field}", f"{key.field} of the optimizer's state is the same number in another form"
            )
            return True
        return self._same_hyper(key, a, b, left, right)

    def _without_other_pieces(
        self, a: Step, b: Step, pairs: Pairs, keys: Sequence[Key], differ: list[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Without what differs because the two programs call their models in other pieces; it is noted."""
        if not differ:
            return differ
        others = self.pairing.b.keys(b)
        apart = self._pieces.to_no_consequence(a, b, keys, others, pairs.keys, {keys[left] for left, _ in differ})
        if apart:
            self.notes.setdefault(PIECES)
            self.counts -= Counter(key.phase for key in apart)
        return [(left, right) for left, right in differ if keys[left] not in apart]

    def _without_other_passes(
        self, a: Step, b: Step, keys: Sequence[Key], differ: list[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Without what belongs to single backward passes, of which the sides make other ones; it is noted."""
        passes = f"{a.micro_steps} backward passes in step {a.step} against {b.micro_steps}"
        self._note_once("passes", f"{passes}, to the same gradients: the losses of single passes were not compared")
        self.counts -= Counter(keys[left].phase for left, _ in differ if keys[left].micro >= 0)
        return [(left, right) for left, right in differ if keys[left].micro < 0]

    def _without_renumbered(
        self, keys: Sequence[Key], differ: list[tuple[int, int]], field: str
    ) -> list[tuple[int, int]]:
        """Without averages that only have other numbers on the two sides; these are noted."""
        kept = [pair for pair in differ if (keys[pair[0]].phase, keys[pair[0]].field) != ("ema", field)]
        if len(kept) < len(differ):
            self.notes.setdefault("averages of the parameters are numbered apart: paired by what they become")
        return kept

    def _with_consequence(
        self, a: Step, b: Step, keys: Sequence[Key], differ: list[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Without the settings around an update that differ and change nothing; these are noted."""
        all_keys = {keys[left] for left, _ in differ}
        kept = []
        for left, right in differ:
            key = keys[left]
            if key.phase not in CALLED or counts(key, all_keys):
                kept.append((left, right))
            elif key.phase == "evaluation":
                where = f"before the update of step {a.step}"
                self._evaluations.differ(where, key.field, float(a.values[left]), float(b.values[right]))
            else:
                what = f"{key.name} {key.field}"  # a validation loss at every epoch, say
                values = [f"{value:g}" for value in (a.values[left], b.values[right]) if not np.isnan(value)]
                how = f"is {' against '.join(values)}" if len(values) == 2 else "differs"
                self._note_once(what, f"{what} {how}, to no consequence in the steps compared")
        return kept

    def _note_once(self, what: str, note: str) -> None:
        if what not in self._noted:
            self._noted.add(what)
            self.notes.setdefault(note)

    def _same_hyper(self, key: Key, a: Step, b: Step, left: int, right: int) -> bool:
        """Hyperparameters agree when those that both sides have agree; the others are noted."""
        if key.phase != "optimizer" or key.field != "hyper":
            return False
        known = [step.digests[place].tobytes().hex() in step.texts for step, place in ((a, left), (b, right))]
        mine, other = settings_of(a, left), settings_of(b, right)
        if not all(known):
            return False
        for name in sorted(mine.keys() ^ other.keys()):
            self.notes.setdefault(f"hyperparameter {name} exists on one side only, and was not compared")
        # What comes of settings is compared, too: an optimizer that tells none of the other's is no other training.
        return not mine.keys() & other.keys() or same_settings(mine, other)

    def _diverge(self, a: Step, b: Step, keys: Sequence[Key], differ: list[tuple[int, int]]) -> None:
        self.details = told(a, b, keys, differ)
        if len(self._optimizers) > 1:
            self.notes.setdefault(
                f"steps count the updates of all optimizers, which are numbered as they begin: step {a.step} is one of "
                f"{a.optimizer}"
            )
        self.affected = dict(Counter(keys[left].phase for left, _ in differ))
        ledgers = (self._before or ((), ())) if self._a.scope.ledger and self._b.scope.ledger else None
        self.first = divergence_at(a, b, keys, differ[0], ledgers)

    def end(self, a: Step | End | None, b: Step | End | None) -> None:
        """At least one side has no further step."""
        asked = _both_ended_as_asked(a, b)
        if asked:
            self.notes.setdefault(f"both runs were ended {asked}: what comes later was not compared")
        if isinstance(a, End) and isinstance(b, End):
            self._evaluations.ends(a.evaluated, b.evaluated)
        for side, item in (("first", a), ("second", b)):
            self.lost |= dict.fromkeys(item.notes if item is not None else ())
            if isinstance(item, End) and item.status != "finished" and not asked:
                detail = f": {item.detail}" if item.detail else ""
                self.reasons.append(f"the {side} trace did not finish by itself ({item.status}{detail})")
        if not self.reasons and (isinstance(a, Step) or isinstance(b, Step)):
            longer, shorter = ("first", "second") if isinstance(a, Step) else ("second", "first")
            step = next(item.step for item in (a, b) if isinstance(item, Step))
            self.first = Divergence(
                step, None, "optimizer", "",
                f"the {longer} run takes this step, the {shorter} finished by itself before it",
            )  # fmt: skip
        elif not self.reasons and isinstance(a, End) and isinstance(b, End) and a.taken != b.taken:
            what = f"{a.taken} steps were taken against {b.taken}"
            self.first = Divergence(min(a.taken, b.taken), None, "optimizer", "", what, a.taken, b.taken)
        elif not self.reasons and not asked and isinstance(a, End) and self._evaluations.average:
            self.first = Divergence(a.taken - 1, None, "ema", "", LEFT)

    def verdict(self, environment: dict[str, tuple[str, str]]) -> Verdict:
        """The strongest rung that holds; the rungs between identical and diverged need more runs than two."""
        reasons = list(self.reasons)
        at_first = self.first is not None and self.first.phase == "config"
        other = sharded_alone(self._a, self._b) if at_first else ""
        other = other or (other_order(self._a, self._b) if at_first or self.pairing.unmatched else "")
        if other:
            self.first, reasons = None, [other, *reasons]
        if self.steps == 0 and self.first is None:
            reasons.append(
                "no step was compared (an update by hand is one if it changes parameters: not at a learning rate of 0)"
            )
        unmatched = tuple(self.pairing.unmatched)
        if unmatched:
            reasons.append(f"{len(unmatched)} observations have no partner ({some_of(unmatched, '; ')})")
        reasons += [f"not recorded: {note}" for note in self.lost]
        if self._evaluations.late and self.first is None:
            reasons.append(APART)
        if self.first is None and not self.counts["param"] and self.steps:
            reasons.append("no parameter was compared")
        coverage = Coverage(
            self.steps, self.micro_steps, len(self.pairing.tensors), self.counts["batch"], self.counts["rng"],
            self.observations, unmatched, tuple(phase for phase in PHASES if not self.counts[phase]),
        )  # fmt: skip
        rung = "diverged" if self.first is not None else "inconclusive" if reasons else "identical"
        notes = (*self._evaluations.notes(rung == "identical"), *self.notes, *self.pairing.buffers_beside())
        return Verdict(rung, coverage, self.first, tuple(reasons), notes, self.affected, environment, self.details)


def _both_ended_as_asked(a: Step | End | None, b: Step | End | None) -> str:
    """After which step, where the recorder was told to end both runs after the same one; else an empty string."""
    if not (isinstance(a, End) and isinstance(b, End)) or (a.status, b.status) != ("stopped", "stopped"):
        return ""
    return a.detail if a.detail == b.detail and a.taken == b.taken else ""
