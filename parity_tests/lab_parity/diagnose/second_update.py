"""An optimizer's second update where nobody shows its state: by which betas does it follow Adam's rule?

With bias correction its moments are m = g + w1 · (g0 - g) and v = g² + w2 · (g0² - g²), where g0 is the first gradient
and w = beta / (1 + beta). So `-change / rate · (√v + eps) = m`, of which the first update tells rate and eps, and a few
steps of Gauss and Newton the two w.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lab_parity.diagnose.first_update import Rule, rule_of
from lab_parity.diagnose.fit import flat, rounding
from lab_parity.diagnose.scene import Run, Scene
from lab_parity.diagnose.seen import Seen, both_sides, solve

__all__ = ["second_betas"]

_ROUNDS = 12
_LEFT = 4.0
"""Rounding errors an element that a rule may leave."""

Betas = tuple[tuple[float, float], tuple[float, float]]
"""(beta, the error it may carry) of both moments."""


def second_betas(scene: Scene) -> tuple[Betas, Betas] | None:
    """Both sides'; None unless it is the second update, a state is hidden, and both follow the rule to rounding."""
    if scene.first.phase != "param" or not scene.captured or scene.settings:
        return None
    sides = both_sides(scene)
    if all(side.new or side.single for side in sides) or any(side.count != 2 for side in sides):
        return None
    found = [_betas(run, side) for run, side in zip((scene.legacy, scene.migrated), sides, strict=True)]
    return (found[0], found[1]) if found[0] is not None and found[1] is not None else None


def _betas(run: Run, now: Seen) -> Betas | None:
    before, after = run.own_past("param", "before"), run.own_past("param", "after")
    gradient = run.own_past("grad", "before")
    names = [n for n in now.names if n in before and n in after and n in gradient]
    if not names or len(names) < len(now.names):
        return None
    change = {n: flat(after[n]) - flat(before[n]) for n in names}
    noise = {n: rounding(before[n], after[n]) for n in names}
    first = rule_of(names, change, {n: flat(gradient[n]) for n in names}, noise)
    if first is None:
        return None
    seen = [n for n in names if bool((now.gradient[n] != 0).any())]
    return _solve(
        first,
        [-now.change[n] / first.rate for n in seen],
        [flat(gradient[n]) for n in seen],
        [now.gradient[n] for n in seen],
        [now.noise[n] / first.rate for n in seen],
    )


def _solve(
    rule: Rule, moved: Sequence[Tensor], old: Sequence[Tensor], new: Sequence[Tensor], noise: Sequence[Tensor]
) -> Betas | None:
    weights = [0.47, 0.49]
    for _ in range(_ROUNDS):
        squares = [g * g + weights[1] * (g0 * g0 - g * g) for g0, g in zip(old, new, strict=True)]
        roots = [square.clamp_min(1e-38).sqrt() for square in squares]
        means = [g + weights[0] * (g0 - g) for g0, g in zip(old, new, strict=True)]
        left = [m - s * (root + rule.floor) for m, s, root in zip(means, moved, roots, strict=True)]
        columns = [
            [g - g0 for g0, g in zip(old, new, strict=True)],
            [s * (g0 * g0 - g * g) / (2 * root) for s, g0, g, root in zip(moved, old, new, roots, strict=True)],
        ]
        errors_of = [root * n + 3e-7 * m.abs() + 1e-30 for root, n, m in zip(roots, noise, means, strict=True)]
        steps, errors, remaining = solve(left, columns, errors_of)
        weights = [min(max(weight + step, 0.0), 0.5 - 1e-9) for weight, step in zip(weights, steps, strict=True)]
    if remaining > _LEFT or not torch.isfinite(torch.tensor([*weights, *errors])).all():
        return None
    (first, error_1), (second, error_2) = (
        (weight / (1 - weight), error / (1 - weight) ** 2) for weight, error in zip(weights, errors, strict=True)
    )
    return (first, error_1), (second, error_2)
