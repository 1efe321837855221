"""Parameters by learning-rate multiplier."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

from torch import nn

#: From a pattern of parameter names to a factor of the learning rate; None leaves the parameters out altogether.
Multipliers = Mapping[str, float | None]


def grouped(model: nn.Module, multipliers: Multipliers) -> list[dict[str, Any]]:
    """One group a multiplier, in the order of first use; the last pattern that matches a name counts."""
    groups: dict[float, dict[str, Any]] = {}
    unmatched = set(multipliers)
    names = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        names.append(name)
        factor: float | None = 1.0
        for pattern, candidate in multipliers.items():
            if fnmatch.fnmatchcase(name, pattern):
                unmatched.discard(pattern)
                factor = candidate
        if factor is None:
            continue
        group = groups.setdefault(factor, {"multiplier": factor, "params": [], "names": []})
        group["params"].append(parameter)
        group["names"].append(name)
    if unmatched:
        raise ValueError(
            f"optimizer.multipliers: expected every pattern to match a parameter, found none for {sorted(unmatched)}; "
            f"parameters are named like {', '.join(names[:3])}"
        )
    if not groups:
        raise ValueError(f"optimizer.multipliers: expected a parameter to train, found None for all {len(names)}")
    return list(groups.values())
