"""Which observations of two steps are about the same thing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from lab_parity.canonical import BY_PARAMETER
from lab_parity.consequence import CALLED
from lab_parity.digest import NO_GRADIENT
from lab_parity.keys import AROUND, AT_FORWARD, Key
from lab_parity.listing import some_of
from lab_parity.matching import match_names
from lab_parity.pieces import PIECES
from lab_parity.side import Side, idle_parameters
from lab_parity.trace import Step

__all__ = ["Pairing", "Pairs", "same_settings", "settings_of"]


def settings_of(step: Step, place: int) -> dict[str, object]:
    """The hyperparameters behind a row of the field "hyper"; empty where they are not known."""
    found = json.loads(step.texts.get(step.digests[place].tobytes().hex(), "{}"))
    return found if isinstance(found, dict) else {}


def same_settings(a: Mapping[str, object], b: Mapping[str, object]) -> bool:
    """Whether the hyperparameters that both sides have agree; False where they share none."""
    shared = a.keys() & b.keys()
    return bool(shared) and all(a[name] == b[name] for name in shared)


def _around(keys_a: Sequence[Key], keys_b: Sequence[Key], where: Mapping[Key, int]) -> dict[Key, int]:
    """Where the state of a wrapper on one side has its partner in the state of the optimizer itself on the other."""
    inner = {key._replace(field=key.field.removeprefix(AROUND)): key for key in keys_a if key.field.startswith(AROUND)}
    found = {outer: where[key] for key, outer in inner.items() if outer not in where and key in where}
    known = set(keys_a)
    for place, key in enumerate(keys_b):
        plain = key._replace(field=key.field.removeprefix(AROUND))
        if key.field.startswith(AROUND) and key not in known and plain in known and plain not in where:
            found[plain] = place
    return found


@attrs.frozen(slots=True, eq=False)
class Pairs:
    """Row numbers of each side that are about the same, what they are about, and how many there are per phase."""

    a: npt.NDArray[np.intp]
    b: npt.NDArray[np.intp]
    keys: Sequence[Key]
    generators: Sequence[int]
    counts: Counter[str]


class Pairing:
    """Pairs rows of two runs' steps; each pair of layouts is worked out once."""

    def __init__(self) -> None:
        self.a, self.b = Side(), Side()
        self.tensors: set[tuple[str, str]] = set()
        self.unmatched: dict[str, None] = {}
        self.notes: dict[str, None] = {}
        self._beside: dict[str, dict[str, None]] = {}
        self._known: dict[tuple[str, str, str], Pairs] = {}
        self._idle: dict[tuple[str, str, str], tuple[dict[str, int], dict[str, int]]] = {}

    def buffers_beside(self) -> list[str]:
        """A note a side that alone has buffers of modules beside the trained one; other steps may compare them."""
        notes = []
        for which, names in self._beside.items():
            what = f"{len(names)} buffers" if len(names) > 1 else "a buffer"
            notes.append(f"{what} outside the module whose step it is, only in the {which} trace: {some_of(names)}")
        return notes

    def of(self, a: Step, b: Step) -> Pairs:
        """The pairs of two steps, in `a`'s order; what has no partner goes to `unmatched` or `notes`."""
        if match_names(self.a, a, self.b, b):
            self.notes.setdefault("parameters have other names on the two sides: matched by their initial weights")
        keys_a, keys_b = self.a.keys(a), self.b.keys(b)
        if self.a.follow(self.b, a) or self.b.follow(self.a, b):
            keys_a, keys_b = self.a.keys(a), self.b.keys(b)
        layouts = (a.optimizer, a.layout, b.layout)
        if layouts not in self._known:
            if len(set(keys_a)) != len(keys_a) or len(set(keys_b)) != len(keys_b):
                self.unmatched.setdefault("several tensors of one name in one step")
            where = {key: place for place, key in enumerate(keys_b)}
            where |= _around(keys_a, keys_b, where)
            both = [(place, where[key]) for place, key in enumerate(keys_a) if key in where]
            matched = [keys_a[place] for place, _ in both]
            partners = [keys_b[place] for _, place in both]
            # What is reduced is a parameter's gradient, or the name of a call.
            self.tensors |= {(a.optimizer, key.name) for key in matched if key.phase in BY_PARAMETER - {"reduce"}}
            losses = {key.micro for key in matched if key.phase == "loss"}
            both_pass = min(a.micro_steps, b.micro_steps)
            # A pass that one side alone makes is told of by the comparison.
            there = [[key for key in side if key.micro < both_pass] for side in (keys_a, keys_b)]
            idle = [self._idle_alone(*side) for side in ((a, keys_a, {*keys_b}), (b, keys_b, {*keys_a}))]
            self._note_unmatched("first", self.a, there[0], {*keys_b, *matched}, losses, idle[0])
            self._note_unmatched("second", self.b, there[1], {*keys_a, *partners}, losses, idle[1])
            self._idle[layouts] = idle[0], idle[1]
            self._known[layouts] = Pairs(
                np.array([left for left, _ in both], np.intp),
                np.array([right for _, right in both], np.intp),
                matched,
                [place for place, key in enumerate(matched) if key.phase == "rng"],
                Counter(key.phase for key in matched),
            )
        for which, step, alone in zip(("first", "second"), (a, b), self._idle[layouts], strict=True):
            for name, place in alone.items():
                if step.digests[place].tobytes() != NO_GRADIENT:
                    self.unmatched.setdefault(f"only in the {which} trace: grad {name}")
        return self._known[layouts]

    def _idle_alone(self, step: Step, keys: Sequence[Key], others: set[Key]) -> dict[str, int]:
        """Parameters without a gradient that only this side's optimizer has, and the rows that say so."""
        return {name: place for name, place in idle_parameters(step, keys) if keys[place] not in others}

    def known(self, optimizer: str, a: str, b: str) -> Pairs | None:
        """The pairs of two layouts that have been met, or None."""
        return self._known.get((optimizer, a, b))

    def _note_unmatched(
        self,
        which: str,
        side: Side,
        keys: Sequence[Key],
        others: set[Key],
        losses: Collection[int],
        idle: Collection[str],
    ) -> None:
        by_hand = not any(key.field == "hyper" for key in others)
        for key in keys:
            if key in others:
                continue
            if key.field == AT_FORWARD:
                continue  # what an average is behind the update has been told of
            if key.name in idle and key.phase in BY_PARAMETER:
                what = f"only the {which} run's optimizer has {len(idle)} parameters that get no gradient"
                self.notes.setdefault(f"{what}: not compared")
                continue
            if by_hand and (key.phase == "optimizer" or (key.phase == "rng" and key.micro < 0)):
                self.notes.setdefault(f"settings and state are only in the {which} trace: the other updates by hand")
            elif key.phase == "buffer" and key.name in side.outside:
                # The training framework's own, or of a module beside the trained one.
                self._beside.setdefault(which, {}).setdefault(key.name)
            elif key.field.startswith(AROUND):
                # What comes of it is compared; the other side has no wrapper, or one that keeps it elsewhere.
                what = key.field.removeprefix(AROUND)
                self.notes.setdefault(f"the state {what} of a wrapper is only in the {which} trace")
            elif key.phase in CALLED:
                # The other side may do the same without torch's function; what comes of it is compared.
                self.notes.setdefault(f"{key.phase} by {key.name} is only in the {which} trace")
            elif key.phase == "forward" and key.name.startswith("autograd.grad "):
                # A penalty may be made in another way; the loss that is made of it is compared.
                self.notes.setdefault(f"gradients by torch.autograd.grad are only in the {which} trace")
            elif key.phase in ("batch", "forward") and key.micro in losses:
                # A loss may be a module or a function, a model be called as a whole or layer by layer.
                self.notes.setdefault(PIECES)
            elif key.phase == "ema" and any(other.phase == "ema" for other in others):
                # The other side keeps it in a dict of parameters, or has other buffers beside them.
                self.notes.setdefault(f"parts of an average are only in the {which} trace: {key.name}")
            elif key.phase == "ema":
                self.notes.setdefault(f"an average of the parameters is only in the {which} trace")
            else:
                self.unmatched.setdefault(f"only in the {which} trace: {key.phase} {key.name} {key.field}".strip())
