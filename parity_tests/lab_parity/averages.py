"""Which averages of two runs are the same, where a run has several.

A recorder numbers averages in the order in which it finds them, and one run may have more than the other: a checkpoint
that it resumed from and still holds is a copy of the parameters, too. At the first step all of them have the same bits,
so only what they become tells them apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import attrs

from lab_parity.keys import Key
from lab_parity.trace import Step

__all__ = ["LONE", "Averages"]

LONE = "an average of the parameters that goes on changing; look whether the other run makes it"
"""What is said of one that has nothing to be compared with."""

_MOST = 6
"""Averages that change, up to which every way to pair them is tried."""

Numbered = Mapping[int, Mapping[str, bytes]]
"""Digests by parameter, of each average by its number."""


@attrs.define
class _Seen:
    """What is known of an optimizer's averages: how they began, which have changed, which pairs have differed."""

    first: tuple[Numbered, Numbered]
    changed: tuple[set[int], set[int]] = attrs.field(factory=lambda: (set(), set()))
    apart: set[tuple[int, int]] = attrs.field(factory=set)


@attrs.define
class _Lone:
    """Averages that one run alone has: how they were at its last step, and how the parameters were."""

    step: int = -2
    was: Numbered = attrs.field(factory=dict)
    parameters: Mapping[str, bytes] = attrs.field(factory=dict)

    def is_mixed(self, step: Step, keys: Sequence[Key], now: Numbered) -> bool:
        """Whether one has become something new: neither what it was, nor the parameters as they are or were.

        Kept weights (the best ones, those of the step before) are copies; nobody can tell of steps that were left out.
        """
        parameters = {key.name: step.digests[place].tobytes() for place, key in enumerate(keys) if key.phase == "param"}
        mixed = self.step == step.step - 1 and any(
            digest not in (self.was.get(number, {}).get(name), self.parameters.get(name), parameters[name])
            for number, average in now.items()
            for name, digest in average.items()
            if name in parameters and name in self.parameters and number in self.was
        )
        self.step, self.was, self.parameters = step.step, now, parameters
        return mixed


class Averages:
    """Follows which averages of two runs may still be the same; `lone` is the run that alone has one, if any.

    Of those behind the updates (`field` is empty), or when the last micro-steps before them begin.
    """

    def __init__(self, field: str = "") -> None:
        self._field = field
        self._seen: dict[str, _Seen] = {}
        self._lone: dict[str, _Lone] = {}
        self.lone = ""

    def agree(self, a: Step, keys_a: Sequence[Key], b: Step, keys_b: Sequence[Key]) -> bool | None:
        """Whether each average that changes has a partner of its own in the other run that it has never differed from.

        None where a run has none, or both have one: then there is nothing to choose from. To be asked at every step.
        """
        sides = _by_number(a, keys_a, self._field), _by_number(b, keys_b, self._field)
        mine, other = sides
        if bool(mine) != bool(other):
            which, step, keys, alone = ("first", a, keys_a, mine) if mine else ("second", b, keys_b, other)
            if self._lone.setdefault(a.optimizer, _Lone()).is_mixed(step, keys, alone):
                self.lone = self.lone or which
            return None
        if not mine or not other or max(len(mine), len(other)) < 2:
            return None
        seen = self._seen.setdefault(a.optimizer, _Seen(sides))
        for changed, first, now in zip(seen.changed, seen.first, sides, strict=True):
            changed |= {number for number in now if now[number] != first.get(number)}
        seen.apart |= {(left, right) for left in mine for right in other if mine[left] != other[right]}
        # Where both sides' own can be paired, all can be at once (Mendelsohn and Dulmage 1958, theorem 1).
        return _pair(list(seen.changed[0]), set(other), seen.apart) and _pair(
            list(seen.changed[1]), set(mine), {(right, left) for left, right in seen.apart}
        )


def _by_number(step: Step, keys: Sequence[Key], field: str) -> Numbered:
    found: dict[int, dict[str, bytes]] = {}
    for place, key in enumerate(keys):
        if key.phase == "ema" and key.field == field:
            name, _, number = key.name.rpartition("@")
            if not name or not number.isdigit():
                name, number = key.name, "0"
            found.setdefault(int(number), {})[name] = step.digests[place].tobytes()
    return found


def _pair(changed: Sequence[int], partners: Collection[int], apart: Collection[tuple[int, int]]) -> bool:
    if not changed:
        return True
    if len(changed) > _MOST:
        return False
    one, rest = changed[0], changed[1:]
    return any(
        _pair(rest, {left for left in partners if left != partner}, apart)
        for partner in partners
        if (one, partner) not in apart
    )
