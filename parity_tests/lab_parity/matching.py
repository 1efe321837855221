"""Which parameters are the same where the two sides call them otherwise: found once, at an optimizer's first step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import attrs

from lab_parity.canonical import canonical_keys
from lab_parity.keys import Key
from lab_parity.side import Side, idle_parameters
from lab_parity.trace import Step

__all__ = ["match_names"]


def match_names(one: Side, a: Step, two: Side, b: Step) -> bool:
    """Where an optimizer's first step shows other names on the two sides, the second gets those of the first.

    Whether it has got any; what the names leave out may have changed in any case.
    """
    sides = ((one, a), (two, b))
    if not all(key.phase == "config" for step in (a, b) for key in step.keys[:1]):
        return False
    names = [{key.name for key in side.keys(step) if key.phase == "config"} for side, step in sides]
    if names[0] == names[1] or not all(names):
        return False
    weights = [_initial(step, side.keys(step)) for side, step in sides]
    gradients = [_initial(step, side.keys(step), "grad") for side, step in sides]
    renamed = _by_initial_weights(weights[0], weights[1], gradients)
    if not renamed and not _match_trained(one, a, two, b):
        idle = [{name for name, _ in idle_parameters(step, side.keys(step))} for side, step in sides]
        trained = [
            {name: first for name, first in known.items() if name not in still}
            for known, still in zip(weights, idle, strict=True)
        ]
        renamed = _by_initial_weights(trained[0], trained[1], gradients)
    if renamed:
        two.rename(b, renamed)
        one.lies_within(a, renamed)
        two.lies_within(b, renamed)
    return bool(renamed)


def _match_trained(one: Side, a: Step, two: Side, b: Step) -> bool:
    """Leave out of the names what makes one side's trained parameters a part of the other's, if anything does.

    One optimizer may have been given what is not trained, too (a frozen part, a teacher); or lack what is.
    """
    sides = [[_Named.of(step, prefix) for prefix in side.prefixes(step)] for side, step in ((one, a), (two, b))]
    pairs = [(mine.shared(other), mine, other) for mine in sides[0] for other in sides[1]]
    shared, mine, other = max(pairs, key=lambda pair: pair[0])
    if not shared:
        return False
    one.leave_out(a, mine.prefix)
    two.leave_out(b, other.prefix)
    return True


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
    if list(a.values()) == list(b.values()):
        return dict(zip(b, a, strict=True))
    mine, other = (
        {name: value + known.get(name, b"") for name, value in side.items()}
        for side, known in zip((a, b), gradients, strict=True)
    )
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
