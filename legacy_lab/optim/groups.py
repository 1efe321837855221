"""Parameters by multipliers of the learning rate and of the decay."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

from torch import nn

#: From a pattern of parameter names to a factor of the learning rate; None leaves the parameters out altogether.
Multipliers = Mapping[str, float | None]


def grouped(
    model: nn.Module, multipliers: Multipliers, decay_multipliers: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """One group for each pair of factors, in the order of first use; the last pattern that matches a name counts.

    Raises `ValueError` for a pattern that matches no parameter.
    """
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    decays: Multipliers = decay_multipliers or {}
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    names = list(trained)
    _require_matches("multipliers", multipliers, names)
    _require_matches("decay_multipliers", decays, names)
    for name, parameter in trained.items():
        factor, decay_factor = factor_of(name, multipliers), factor_of(name, decays)
        if factor is None or decay_factor is None:
            continue
        fresh = {"multiplier": factor, "decay_multiplier": decay_factor, "params": [], "names": []}
        group = groups.setdefault((factor, decay_factor), fresh)
        group["params"].append(parameter)
        group["names"].append(name)
    if not groups:
        raise ValueError(f"optimizer.multipliers: expected a parameter to train, found None for all {len(names)}")
    return list(groups.values())


def factor_of(name: str, multipliers: Multipliers) -> float | None:
    """The factor of the last pattern that matches a parameter's name, else 1."""
    factor: float | None = 1.0
    for pattern, candidate in multipliers.items():
        if fnmatch.fnmatchcase(name, pattern):
            factor = candidate
    return factor


def _require_matches(setting: str, multipliers: Multipliers, names: list[str]) -> None:
    unmatched = sorted(pattern for pattern in multipliers if not fnmatch.filter(names, pattern))
    if unmatched:
        raise ValueError(
            f"optimizer.{setting}: expected every pattern to match a parameter, found none for {unmatched}; "
            f"parameters are named like {', '.join(names[:3])}"
        )
