"""Parameter groups that a training changes on its way: layers that it unfreezes, an optimizer of other parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["grouped", "put_groups"]


def grouped(optimizers: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, list[list[str | None]]]:
    """The names of each group's parameters; None for one of no model."""
    return {
        path: [[names.get(id(parameter)) for parameter in group["params"]] for group in one.param_groups]
        for path, one in optimizers.items()
        if isinstance(one, torch.optim.Optimizer)
    }


def put_groups(
    optimizers: Mapping[str, Any], groups: Mapping[str, list[list[str | None]]], tensors: Mapping[str, Tensor]
) -> None:
    """Give the optimizers the groups that they had. Their other options come with their state."""
    for path, saved in groups.items():
        optimizer = optimizers.get(path)
        known = all(name in tensors for names in saved for name in names)
        if not known or not isinstance(optimizer, torch.optim.Optimizer):
            continue
        there = [[id(parameter) for parameter in group["params"]] for group in optimizer.param_groups]
        wanted = [[tensors[str(name)] for name in names] for names in saved]
        if there != [[id(parameter) for parameter in parameters] for parameters in wanted]:
            del optimizer.param_groups[len(wanted) :]
            for group, parameters in zip(optimizer.param_groups, wanted, strict=False):
                group["params"][:] = parameters
            optimizer.param_groups += [
                {**optimizer.defaults, "params": parameters} for parameters in wanted[len(optimizer.param_groups) :]
            ]
