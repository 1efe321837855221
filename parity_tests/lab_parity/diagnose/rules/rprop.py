"""Rprop: step sizes grow by etaplus where the gradient keeps its sign, shrink by etaminus where it turns.

Riedmiller, Braun, ICNN (1993), with the bounds of torch.optim.Rprop.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lab_parity.diagnose.seen import Seen, Told

_GROWING = ("etaplus", "the largest step size", "what a step size grows to (by etaplus, or up to its bound)")
_SHRINKING = ("etaminus", "the smallest step size", "what a step size shrinks to (by etaminus, or down to its bound)")


def tell(seen: Seen) -> Told | None:
    """The two factors, and the bounds where step sizes lie at them; on the first step where they begin."""
    if not seen.shaped("prev", "step_size") or len(seen.new) != 2:
        return None
    new = torch.cat([seen.new["step_size"][n] for n in seen.names])
    noise = 2e-7 * new + 1e-38
    if not seen.old.get("step_size"):
        return Told(
            "Rprop", "step_size", {"lr": (float(new[0]), float(noise[0]))}, [new], [new[:1].expand_as(new)], [noise]
        )
    signs = torch.cat([(seen.gradient[n] * seen.was("prev")[n]).sign() for n in seen.names])
    old = torch.cat([seen.was("step_size")[n] for n in seen.names])
    settings: dict[str, tuple[float, float]] = {}
    predicted = old.clone()
    for sign, names in ((1, _GROWING), (-1, _SHRINKING)):
        chosen = signs == sign
        if int(chosen.sum()) > 1:
            predicted[chosen] = _one(old[chosen], new[chosen], names, settings)
    if not settings or bool(((new - predicted).abs() > 2 * noise).any()):
        return None
    return Told("Rprop", "step_size", settings, [new], [predicted], [noise])


def _one(old: Tensor, new: Tensor, names: tuple[str, str, str], settings: dict[str, tuple[float, float]]) -> Tensor:
    """Adds the factor and the bound, as far as they can be told, and returns what they predict."""
    eta, bound, either = names
    limit = float(new.max() if names is _GROWING else new.min())
    at_limit = (new / limit - 1).abs() < 1e-6
    if bool((old / old[0] - 1).abs().max() < 1e-6):
        settings[either] = limit, 3e-7 * limit  # from one value to one value: by the factor, or up to the bound
        return torch.full_like(new, limit)
    ratios = new / old
    # A bound is where different ones end up alike, or one moves less than all others.
    far = float(ratios[~at_limit].median()) if bool((~at_limit).any()) else float(ratios[at_limit][0])
    less = ratios[at_limit].max() < far * (1 - 1e-6) if names is _GROWING else ratios[at_limit].min() > far * (1 + 1e-6)
    several = bool((old[at_limit] / old[at_limit][0] - 1).abs().max() > 1e-6) or bool(less)
    free = ratios if not several else ratios[~at_limit]
    if len(free):
        factor = float(free.median())
        settings[eta] = factor, 3e-7 * factor
        predicted = old * factor
    else:
        predicted = new.clone()
    # Without one that is seen, a bound lies beyond.
    settings[bound] = (limit, 3e-7 * limit) if several else (math.inf if names is _GROWING else 0.0, 0.0)
    return torch.where(at_limit & several, torch.full_like(new, limit), predicted)
