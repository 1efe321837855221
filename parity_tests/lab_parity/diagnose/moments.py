"""The optimizer's state as a linear rule: what of the old state, the gradient and the parameter went into the new.

A first moment is `a · old + b · gradient + c · parameter`: Adam's has b = 1 - a, torch's momentum b = 1 - dampening, a
decay that goes through the gradient makes c. A second moment has the squares of the latter two.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from lab_parity.diagnose.fit import Fit, flat, least_squares, rounding
from lab_parity.diagnose.scene import Pair, Scene

__all__ = ["Moment", "moments"]

_ORDERS = {1: ("old", "gradient", "parameter"), 2: ("old", "gradient²", "gradient · parameter", "parameter²")}


@attrs.frozen(slots=True, eq=False)
class Moment:
    """One state field. `legacy` are the legacy rule's coefficients, by column; `order` is 1 or 2.

    `change` are those of the difference between both sides, in as few columns as explain it, with its `fit`; empty
    where nothing does. `names` are the parameters, `differs` whether any bit does.
    """

    field: str
    order: int
    legacy: dict[str, float]
    change: dict[str, float]
    fit: Fit
    names: tuple[str, ...]
    differs: bool
    identified: bool

    def of(self, column: str, side: str = "legacy") -> float:
        """A coefficient of the legacy rule, or of the migrated one."""
        return self.legacy.get(column, 0.0) + (self.change.get(column, 0.0) if side == "migrated" else 0.0)


def moments(scene: Scene) -> list[Moment]:
    """As `_moments`, worked out once."""
    return scene.once("moments", _moments)


def _moments(scene: Scene) -> list[Moment]:
    """Every state field that is shaped as its parameter and follows such a rule, in the state's order."""
    gradients = scene.legacy.tensors("grad", "before")
    before, after = (scene.legacy.tensors("param", moment) for moment in ("before", "after"))
    found = []
    for field in scene.legacy.state_fields:
        pairs = [
            pair
            for pair in scene.pairs("optimizer", "after", field=field)
            if pair.name in gradients and pair.a.shape == gradients[pair.name].shape and pair.a.is_floating_point()
        ]
        if not pairs or all(pair.a.ndim == 0 for pair in pairs):
            continue
        if _follows(pairs, after):
            continue
        old = scene.legacy.tensors("optimizer", "before", field=field)
        names = [pair.name for pair in pairs]
        olds = [flat(old[n]) if n in old else torch.zeros_like(flat(gradients[n])) for n in names]
        gs, ps = [flat(gradients[n]) for n in names], [flat(before[n]) for n in names]
        new_a, new_b = [flat(pair.a) for pair in pairs], [flat(pair.b) for pair in pairs]
        noise = [rounding(pair.a, pair.b) + 1e-38 for pair in pairs]
        found.append(_moment(field, names, olds, gs, ps, new_a, new_b, noise))
    return found


def _follows(pairs: Sequence[Pair], after: Mapping[str, Tensor]) -> bool:
    """Whether a field is an average, or a copy, of the parameters (ASGD's, lookahead's): no moment of the gradient."""
    fit = least_squares(
        [flat(pair.a) for pair in pairs],
        [[flat(after[pair.name]) for pair in pairs]],
        [rounding(pair.a) + 1e-38 for pair in pairs],
    )
    return fit.share < 0.3 and abs(fit.coefficients[0] - 1) < 0.3


def _moment(
    field: str,
    names: Sequence[str],
    old: list[Tensor],
    g: list[Tensor],
    p: list[Tensor],
    a: list[Tensor],
    b: list[Tensor],
    noise: list[Tensor],
) -> Moment:
    def product(left: list[Tensor], right: list[Tensor]) -> list[Tensor]:
        return [x * y for x, y in zip(left, right, strict=True)]

    columns = {
        1: dict(zip(_ORDERS[1], (old, g, p), strict=True)),
        2: dict(zip(_ORDERS[2], (old, product(g, g), product(g, p), product(p, p)), strict=True)),
    }
    rules = {order: _sparse(a, columns[order], noise) for order in columns}
    order = min(rules, key=lambda order: rules[order][1].after)
    legacy, own = rules[order]
    difference = [y - x for x, y in zip(a, b, strict=True)]
    # What the rule itself leaves on the legacy side is no more than rounding of another kind.
    rough = [n * max(1.0, own.after) for n in noise]
    change, fit = _sparse(difference, columns[order], rough)
    differs = any(bool((d != 0).any()) for d in difference)
    return Moment(field, order, legacy, change if fit.holds else {}, fit, tuple(names), differs, own.share < 1e-3)


def _sparse(
    target: list[Tensor], columns: dict[str, list[Tensor]], noise: list[Tensor]
) -> tuple[dict[str, float], Fit]:
    """The fewest columns that leave hardly more than all of them do."""
    whole = least_squares(target, list(columns.values()), noise)
    for count in range(1, len(columns) + 1):
        fits = []
        for chosen in itertools.combinations(columns, count):
            fit = least_squares(target, [columns[name] for name in chosen], noise)
            fits.append((fit.after, chosen, fit))
        _, chosen, fit = min(fits, key=lambda item: item[0])
        if fit.after <= 1.3 * whole.after + 0.3:
            return dict(zip(chosen, fit.coefficients, strict=True)), fit
    return dict(zip(columns, whole.coefficients, strict=True)), whole
