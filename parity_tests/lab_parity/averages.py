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

__all__ = ["Averages"]

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


class Averages:
    """Follows which averages of two runs may still be the same."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def agree(self, a: Step, keys_a: Sequence[Key], b: Step, keys_b: Sequence[Key]) -> bool | None:
        """Whether each average that changes has a partner of its own in the other run that it has never differed from.

        None where a run has none, or both have one: then there is nothing to choose from. To be asked at every step.
        """
        sides = _by_number(a, keys_a), _by_number(b, keys_b)
        mine, other = sides
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


def _by_number(step: Step, keys: Sequence[Key]) -> Numbered:
    found: dict[int, dict[str, bytes]] = {}
    for place, key in enumerate(keys):
        if key.phase == "ema":
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
