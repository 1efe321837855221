"""The gradients of both sides, as the update saw them and as the backward passes left them."""

from __future__ import annotations

from collections.abc import Sequence

from lab_parity.diagnose.fit import Fit, flat, gradient_noise, least_squares
from lab_parity.diagnose.scene import Pair, Scene

__all__ = ["proportional", "scaled"]


def proportional(pairs: Sequence[Pair]) -> tuple[float, Fit]:
    """The number c for which b = c · a, and how well it explains the difference."""
    targets = [flat(pair.b) - flat(pair.a) for pair in pairs]
    fit = least_squares(targets, [[flat(pair.a) for pair in pairs]], [gradient_noise(pair.a, pair.b) for pair in pairs])
    return (1 + fit.coefficients[0] if fit.coefficients else 1.0), fit


def scaled(scene: Scene) -> tuple[float, Fit] | None:
    """The same for all gradients as the update saw them; None where there are none or they are no multiple."""
    pairs = [pair for pair in scene.pairs("grad", "before") if pair.a.is_floating_point()]
    if not pairs:
        return None
    ratio, fit = proportional(pairs)
    return (ratio, fit) if fit.holds else None
