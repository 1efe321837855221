"""Parameter groups that a training changes on its way: layers that it unfreezes, an optimizer of other parameters.

A parameter is told by the model's name for it; one of no model, such as a point cloud's that the training makes again
with more points, by the name or attribute that holds it, or by its number among the values that are carried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["grouped", "put_groups"]

#: A model's name for it, or what else tells it; its size where nothing does.
Told = str | dict[str, Any]


def grouped(
    optimizers: Mapping[str, Any], names: Mapping[int, str], carried: Mapping[int, dict[str, Any]]
) -> dict[str, list[list[Told]]]:
    """What tells each group's parameters: a model's name, or what is `carried`, by identity."""
    return {
        path: [
            [names.get(id(one)) or carried.get(id(one)) or {"size": list(one.shape)} for one in group["params"]]
            for group in optimizer.param_groups
        ]
        for path, optimizer in optimizers.items()
        if isinstance(optimizer, torch.optim.Optimizer)
    }


def put_groups(
    optimizers: Mapping[str, Any],
    groups: Mapping[str, list[list[Told]]],
    tensors: Mapping[str, Tensor],
    carried: Callable[[dict[str, Any]], Tensor | None],
) -> None:
    """Give the optimizers the groups that they had. Their other options come with their state.

    Raises `KeyError` where parameters of other sizes than theirs then cannot be found.
    """
    for path, saved in groups.items():
        optimizer = optimizers.get(path)
        if not isinstance(optimizer, torch.optim.Optimizer):
            continue
        wanted = [[carried(one) if isinstance(one, dict) else tensors.get(one) for one in told] for told in saved]
        if any(one is None for parameters in wanted for one in parameters):
            _require_the_same(path, saved, optimizer)
            continue
        there = [[id(parameter) for parameter in group["params"]] for group in optimizer.param_groups]
        if there != [[id(parameter) for parameter in parameters] for parameters in wanted]:
            del optimizer.param_groups[len(wanted) :]
            for group, parameters in zip(optimizer.param_groups, wanted, strict=False):
                group["params"][:] = parameters
            optimizer.param_groups += [
                {**optimizer.defaults, "params": parameters} for parameters in wanted[len(optimizer.param_groups) :]
            ]


def _require_the_same(path: str, saved: list[list[Told]], optimizer: torch.optim.Optimizer) -> None:
    """What nobody can tell is what it was if the training did not change it."""
    for told, group in zip(saved, optimizer.param_groups, strict=False):
        for number, (one, there) in enumerate(zip(told, group["params"], strict=False)):
            if isinstance(one, dict) and one.get("size", list(there.shape)) != list(there.shape):
                raise KeyError(
                    f"checkpoint: optimizer {path}: expected its parameter {number} of the size {one['size']}, found "
                    f"{list(there.shape)}; where the training itself puts others in their place, and no name of the "
                    "program holds them, resume from a checkpoint before that"
                )
