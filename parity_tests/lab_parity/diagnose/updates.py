"""The update of each parameter on both sides, and the direction of the difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from torch import Tensor

from lab_parity.diagnose.fit import Fit, flat, least_squares, rounding
from lab_parity.diagnose.scene import Scene

__all__ = ["Multiples", "Update", "multiples", "updates"]


@attrs.frozen(slots=True, eq=False)
class Update:
    """One parameter's update, (n,) float64: value before, legacy change, and the difference of the two changes."""

    name: str
    before: Tensor
    change_a: Tensor
    difference: Tensor
    noise: Tensor

    @property
    def differs(self) -> bool:
        """Whether any bit differs."""
        return bool((self.difference != 0).any())


def updates(scene: Scene) -> list[Update]:
    """Of the parameters that both sides have, found with the same bits before."""
    before = {pair.name: pair for pair in scene.pairs("param", "before")}
    made = []
    for pair in scene.pairs("param", "after"):
        found = before.get(pair.name)
        if found is None or not pair.a.is_floating_point():
            continue
        start, a, b = flat(found.a), flat(pair.a), flat(pair.b)
        made.append(Update(pair.name, start, a - start, b - a, rounding(pair.a, pair.b)))
    return made


@attrs.frozen(slots=True, eq=False)
class Multiples:
    """The difference as a multiple of a column, by groups of parameters: (multiple, names), largest group first.

    `fit` is that of all groups together. Parameters without a difference are in `untouched`; `undecided` are those of
    which it cannot be told, because the difference would be smaller than rounding.
    """

    groups: tuple[tuple[float, tuple[str, ...]], ...]
    untouched: tuple[str, ...]
    undecided: tuple[str, ...]
    fit: Fit

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that differ."""
        return tuple(name for _, names in self.groups for name in names)


def multiples(listed: Sequence[Update], column: Callable[[Update], Tensor], close: float = 0.01) -> Multiples:
    """Group the parameters whose difference is the same multiple of `column`.

    A parameter too small or too noisy to tell belongs to the largest group that it does not contradict.
    """
    alone: list[tuple[float, float, Update]] = []
    for update in listed:
        fit = least_squares([update.difference], [[column(update)]], [update.noise])
        size = float((column(update) / update.noise).norm())
        # What is left of it bounds what the multiple may be off by, and rounding does in any case.
        error = 4 * max(1.0, fit.after) / size if size else float("inf")
        alone.append((error, fit.coefficients[0], update))
    groups: list[tuple[float, float, list[Update]]] = []
    for error, value, update in sorted(alone, key=lambda item: item[0] / max(abs(item[1]), 1e-300)):
        fits = [g for g in groups if abs(value - g[0]) <= max(close * abs(g[0]), error + g[1])]
        if fits:
            max(fits, key=lambda group: len(group[2]))[2].append(update)
        else:
            groups.append((value, error, [update]))
    moving = [members for value, error, members in groups if abs(value) > error and any(u.differs for u in members)]
    order = {update.name: place for place, update in enumerate(listed)}
    moving = [sorted(members, key=lambda u: order[u.name]) for members in sorted(moving, key=len, reverse=True)]
    touched = [update for update in listed if any(update is m for members in moving for m in members)]
    fit = least_squares(
        [update.difference for update in listed],
        [[column(u) if any(u is m for m in members) else u.before * 0 for u in listed] for members in moving],
        [update.noise for update in listed],
    )
    groups_named = tuple(
        (value, tuple(u.name for u in members)) for value, members in zip(fit.coefficients, moving, strict=True)
    )
    largest = max((abs(value) for value, _ in groups_named), default=0.0)
    undecided = {update.name for error, _, update in alone if error >= largest}
    named = {update.name for update in touched} | undecided
    untouched = tuple(update.name for update in listed if update.name not in named)
    return Multiples(groups_named, untouched, tuple(u.name for u in listed if u.name in undecided), fit)
