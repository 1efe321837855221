"""The gradients of both sides: what each backward pass added, what the passes left, and what the update saw."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lab_parity.diagnose.fit import Fit, flat, gradient_noise, is_multiple, least_squares
from lab_parity.diagnose.scene import Pair, Run, Scene, same_bits

__all__ = ["added", "left_behind", "norm", "overflows", "proportional", "same_backward", "scaled"]


_ONE = 1e-6
"""So little is no factor, but rounding of one norm, or of one division."""


def proportional(pairs: Sequence[Pair]) -> tuple[float, Fit]:
    """The number c for which b = c · a, and how well it explains the difference."""
    targets = [flat(pair.b) - flat(pair.a) for pair in pairs]
    # A sum of terms that cancel (a bias in front of a norm) is as wrong as the terms are large, not as it is small.
    floor = 1e-7 * max((float(flat(pair.a).square().mean().sqrt()) for pair in pairs if pair.a.numel()), default=0.0)
    noise = [gradient_noise(pair.a, pair.b) + floor for pair in pairs]
    fit = least_squares(targets, [[flat(pair.a) for pair in pairs]], noise)
    return (1 + fit.coefficients[0] if fit.coefficients else 1.0), fit


def scaled(scene: Scene) -> tuple[float, Fit] | None:
    """The same for the gradients where they first differ: of one backward pass (loss), or as the update saw them.

    None where there are none or they are no multiple.
    """
    if scene.first.phase == "loss":
        a, b = (added(run, scene.micro) for run in (scene.legacy, scene.migrated))
        pairs = [Pair(name, a[name], b[name]) for name in a if name in b]
    else:
        pairs = [pair for pair in scene.pairs("grad", "before") if pair.a.is_floating_point()]
    if not pairs:
        return None
    ratio, fit = proportional(pairs)
    if not fit.holds or abs(ratio - 1) <= _ONE:
        return None
    legacy, migrated = [flat(pair.a) for pair in pairs], [flat(pair.b) for pair in pairs]
    noise = [gradient_noise(pair.b) + abs(ratio) * gradient_noise(pair.a) for pair in pairs]
    return (ratio, fit) if is_multiple(legacy, migrated, ratio, noise) else None


def added(run: Run, micro: int) -> dict[str, Tensor]:
    """Name -> what one backward pass added."""
    after, before = run.tensors("grad", "after", micro), run.tensors("grad", "before", micro)
    return {name: value - before[name] if name in before else value for name, value in after.items()}


def overflows(run: Run, micro: int) -> bool:
    """Whether a backward pass added what is not finite."""
    return any(not bool(value.isfinite().all()) for value in added(run, micro).values())


def left_behind(run: Run, micro_steps: int) -> dict[str, Tensor]:
    """Name -> the gradient that the last backward pass left."""
    return run.tensors("grad", "after", micro_steps - 1) if micro_steps else {}


def same_backward(scene: Scene) -> bool:
    """Whether all backward passes left the same bits on both sides, so that the difference came after them."""
    a, b = scene.micro_steps
    if a != b or not a:
        return False
    mine, other = left_behind(scene.legacy, a), left_behind(scene.migrated, b)
    common = mine.keys() & other.keys()
    return bool(common) and mine.keys() == other.keys() and all(same_bits(mine[n], other[n]) for n in common)


def norm(tensors: Sequence[Tensor], order: float = 2.0) -> float:
    """Of all elements of all tensors at once."""
    if not tensors:
        return 0.0
    return float(torch.cat([t.reshape(-1).double() for t in tensors]).norm(order))
