"""Which observations of two steps are about the same thing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from lab_parity.canonical import BY_PARAMETER, canonical_keys, prefix_of
from lab_parity.consequence import CALLED
from lab_parity.digest import NO_GRADIENT
from lab_parity.keys import AROUND, Key
from lab_parity.trace import Step

__all__ = ["PIECES", "Pairing", "Pairs", "Side", "idle_parameters", "same_settings", "settings_of"]


PIECES = (
    "models and losses are called in other pieces on the two sides: what went into some of the calls was not compared, "
    "the losses and gradients that come of it were"
)


def settings_of(step: Step, place: int) -> dict[str, object]:
    """The hyperparameters behind a row of the field "hyper"; empty where they are not known."""
    found = json.loads(step.texts.get(step.digests[place].tobytes().hex(), "{}"))
    return found if isinstance(found, dict) else {}


def same_settings(a: Mapping[str, object], b: Mapping[str, object]) -> bool:
    """Whether the hyperparameters that both sides have agree; False where they share none."""
    shared = a.keys() & b.keys()
    return bool(shared) and all(a[name] == b[name] for name in shared)


class Side:
    """One side of a comparison: its canonical names, and the texts behind the digests of the step seen last."""

    def __init__(self) -> None:
        self._prefixes: dict[str, str] = {}
        self._layouts: dict[tuple[str, str], list[Key]] = {}
        self._renamed: dict[str, dict[str, str]] = {}
        self.texts: Mapping[str, str] = {}
        self.outside: set[str] = set()

    def prefix(self, optimizer: str) -> str:
        """What an optimizer's canonical names leave out; known once a step of it has been seen."""
        return self._prefixes.get(optimizer, "")

    def keys(self, step: Step) -> list[Key]:
        """The step's keys under canonical names, in row order."""
        self.texts = step.texts
        if step.optimizer not in self._prefixes:
            self._prefixes[step.optimizer] = prefix_of(step.keys)
        known = self._layouts.get((step.optimizer, step.layout))
        if known is None:
            prefix = self._prefixes[step.optimizer]
            self.outside |= {key.name for key in step.keys if key.phase == "buffer" and not key.name.startswith(prefix)}
            known = canonical_keys(step.keys, prefix)
            renamed = self._renamed.get(step.optimizer, {})
            if renamed:
                roots = _roots(renamed)
                known = [key._replace(name=_renamed(key, renamed, roots)) for key in known]
            self._layouts[step.optimizer, step.layout] = known
        return known

    def name(self, optimizer: str, name: str) -> str:
        """The canonical name of an optimizer's parameter, or of a buffer beside it; tied weights have several."""
        prefix = self.prefix(optimizer)
        short = "|".join(sorted(part.removeprefix(prefix) for part in name.split("|")))
        renamed = self._renamed.get(optimizer, {})
        return _renamed(Key("buffer", -1, short, ""), renamed, _roots(renamed)) if renamed else short

    def module(self, optimizer: str, name: str) -> str:
        """The canonical name of a module."""
        prefix = self.prefix(optimizer)
        if f"{name}." == prefix or not self._renamed.get(optimizer):
            return name.removeprefix(prefix) if f"{name}." != prefix else ""
        return self.name(optimizer, f"{name}.").removesuffix(".")

    def rename(self, step: Step, names: Mapping[str, str]) -> None:
        """From now on an optimizer's parameters have other names; `step` is its first one."""
        self._renamed[step.optimizer] = dict(names)
        self._forget(step.optimizer)

    def prefixes(self, step: Step) -> list[str]:
        """What an optimizer's names may leave out, the longest first; `step` is its first one."""
        idle = {name for name, _ in idle_parameters(step, step.keys)}
        parts = prefix_of(key for key in step.keys if key.name not in idle).split(".")[:-1]
        return ["".join(f"{part}." for part in parts[:end]) for end in range(len(parts), -1, -1)]

    def leave_out(self, step: Step, prefix: str) -> None:
        """From now on an optimizer's names leave `prefix` out; `step` is its first one."""
        self._prefixes[step.optimizer] = prefix
        self._forget(step.optimizer)

    def _forget(self, optimizer: str) -> None:
        self._layouts = {key: known for key, known in self._layouts.items() if key[0] != optimizer}


def _renamed(key: Key, names: Mapping[str, str], roots: Mapping[str, str]) -> str:
    if key.phase not in BY_PARAMETER:
        return key.name
    if key.name in names:
        return names[key.name]
    # A buffer lies beside parameters, in a module whose path is known from them.
    folder, _, leaf = key.name.rpartition(".")
    for mine, other in names.items():
        if mine.rpartition(".")[0] == folder:
            return f"{other.rpartition('.')[0]}.{leaf}".removeprefix(".")
    # A module may have nothing but buffers: then the model that it lies in tells.
    for end in range(folder.count(".") + 1, -1, -1):
        root = ".".join(folder.split(".")[:end])
        if root in roots:
            return f"{roots[root]}.{key.name.removeprefix(root).removeprefix('.')}".removeprefix(".")
    return key.name


def _roots(names: Mapping[str, str]) -> dict[str, str]:
    """The paths of models on the one side and on the other, which their parameters' names begin with."""
    found: dict[str, set[str]] = {}
    for mine, other in names.items():
        left, right = mine.split("."), other.split(".")
        while left and right and left[-1] == right[-1]:
            left.pop()
            right.pop()
        found.setdefault(".".join(left), set()).add(".".join(right))
    return {root: others.pop() for root, others in found.items() if len(others) == 1}


@attrs.frozen(slots=True, eq=False)
class _Named:
    """An optimizer's parameters at its first step, under names that leave `prefix` out; `trained` have gradients."""

    prefix: str
    initial: Mapping[str, bytes]
    trained: Collection[str]

    @classmethod
    def of(cls, step: Step, prefix: str) -> _Named:
        """At the optimizer's first step."""
        keys = canonical_keys(step.keys, prefix)
        initial = _initial(step, keys)
        return cls(prefix, initial, initial.keys() - {name for name, _ in idle_parameters(step, keys)})

    def shared(self, other: _Named) -> int:
        """How many parameters have one name and one value; 0 where both sides train what the other does not."""
        mine, theirs = set(self.trained), set(other.trained)
        if not (mine <= theirs or theirs <= mine) or any(self.initial[n] != other.initial[n] for n in mine & theirs):
            return 0
        return sum(other.initial.get(name) == digest for name, digest in self.initial.items()) if mine & theirs else 0


def idle_parameters(step: Step, keys: Sequence[Key]) -> list[tuple[str, int]]:
    """The parameters that have no gradient in a step, with their rows."""
    return [
        (key.name, place)
        for place, key in enumerate(keys)
        if key.phase == "grad" and step.digests[place].tobytes() == NO_GRADIENT
    ]


def _initial(step: Step, keys: Sequence[Key], phase: str = "config") -> dict[str, bytes]:
    """The digests of an optimizer's parameters before its first step; or of their first gradients."""
    return {key.name: digest.tobytes() for key, digest in zip(keys, step.digests, strict=True) if key.phase == phase}


def _by_initial_weights(
    a: Mapping[str, bytes], b: Mapping[str, bytes], gradients: Sequence[Mapping[str, bytes]]
) -> dict[str, str]:
    """The second side's names in the first side's words, where names differ and all initial weights agree.

    Models that lie beside each other on one side and in one holder on the other share no path. What has the same
    weights (norms, zero biases) has one order on both sides, or is told apart by `gradients` and by what else lies in
    the same module. Empty where the names agree, and where weights differ: then nobody can tell.
    """
    if a.keys() == b.keys() or sorted(a.values()) != sorted(b.values()):
        return {}
    more = [
        {name: value + known.get(name, b"") for name, value in side.items()}
        for side, known in zip((a, b), gradients, strict=True)
    ]
    if list(a.values()) == list(b.values()):
        return dict(zip(b, a, strict=True))
    mine, other = more
    left: dict[bytes, list[str]] = {}
    for name, value in mine.items():
        left.setdefault(value, []).append(name)
    found: dict[str, str] = {}
    folders: dict[str, str] = {}
    for _ in range(2):  # what lies in one module with something that is found is found the second time
        for name in other:
            folder = folders.get(name.rpartition(".")[0])
            places = [place for place in left.get(other[name], ()) if folder in (None, place.rpartition(".")[0])]
            if name not in found and len(places) == 1:
                found[name] = places[0]
                left[other[name]].remove(places[0])
                folders[name.rpartition(".")[0]] = places[0].rpartition(".")[0]
    return found if len(found) == len(other) else {}


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
            some = ", ".join(list(names)[:3]) + (", …" if len(names) > 3 else "")
            what = f"{len(names)} buffers" if len(names) > 1 else "a buffer"
            notes.append(f"{what} outside the module whose step it is, only in the {which} trace: {some}")
        return notes

    def of(self, a: Step, b: Step) -> Pairs:
        """The pairs of two steps, in `a`'s order; what has no partner goes to `unmatched` or `notes`."""
        self._match_names(a, b)
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
            idle = [self._idle_alone(*side) for side in ((a, keys_a, {*keys_b}), (b, keys_b, {*keys_a}))]
            self._note_unmatched("first", self.a, keys_a, {*keys_b, *matched}, losses, idle[0])
            self._note_unmatched("second", self.b, keys_b, {*keys_a, *partners}, losses, idle[1])
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

    def _match_names(self, a: Step, b: Step) -> None:
        """Where an optimizer's first step shows other names on the two sides, they get those of the first side."""
        sides = ((self.a, a), (self.b, b))
        if not all(key.phase == "config" for step in (a, b) for key in step.keys[:1]):
            return
        names = [{key.name for key in side.keys(step) if key.phase == "config"} for side, step in sides]
        if names[0] == names[1] or not all(names):
            return
        weights = [_initial(step, side.keys(step)) for side, step in sides]
        gradients = [_initial(step, side.keys(step), "grad") for side, step in sides]
        renamed = _by_initial_weights(weights[0], weights[1], gradients)
        if not renamed and not self._match_trained(a, b):
            idle = [{name for name, _ in idle_parameters(step, side.keys(step))} for side, step in sides]
            trained = [
                {name: first for name, first in known.items() if name not in still}
                for known, still in zip(weights, idle, strict=True)
            ]
            renamed = _by_initial_weights(trained[0], trained[1], gradients)
        if renamed:
            self.b.rename(b, renamed)
            self.notes.setdefault("parameters have other names on the two sides: matched by their initial weights")

    def _match_trained(self, a: Step, b: Step) -> bool:
        """Leave out of the names what makes one side's trained parameters a part of the other's, if anything does.

        One optimizer may have been given what is not trained, too (a frozen part, a teacher); or lack what is.
        """
        sides = [
            [_Named.of(step, prefix) for prefix in side.prefixes(step)] for side, step in ((self.a, a), (self.b, b))
        ]
        pairs = [(mine.shared(other), mine, other) for mine in sides[0] for other in sides[1]]
        shared, mine, other = max(pairs, key=lambda pair: pair[0])
        if not shared:
            return False
        self.a.leave_out(a, mine.prefix)
        self.b.leave_out(b, other.prefix)
        return True

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
            elif key.phase == "ema":
                self.notes.setdefault(f"an average of the parameters is only in the {which} trace")
            else:
                self.unmatched.setdefault(f"only in the {which} trace: {key.phase} {key.name} {key.field}".strip())
