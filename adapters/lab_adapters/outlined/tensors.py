"""A tensor that `Packing` has packed, in the program's own where that was there before the training, else a new one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lab_adapters.outlined.lost_graphs import without_its_graph
from lab_adapters.outlined.state_dicts import at_home

__all__ = ["tensor_of"]


def tensor_of(packed: dict[str, Any], target: Any, name: str) -> Tensor:
    """The target, filled, where it was there before the training; else a new tensor. `name` is for its errors."""
    value: Tensor = packed["value"]
    if packed.get("graph"):
        value = without_its_graph(value, name)
    if packed["stays"] and _fits(target, value):
        with torch.set_grad_enabled(value.requires_grad):
            _fill(target, value)
        made: Tensor = target
    else:
        with torch.set_grad_enabled(value.requires_grad):
            made = at_home(value.clone(), packed.get("device", "cpu"))
        if isinstance(target, Tensor) and type(target) not in (Tensor, torch.nn.Parameter):
            made = made.as_subclass(type(target))
        wanted = packed["requires_grad"] or value.requires_grad
        if packed.get("parameter") and type(made) is Tensor and made.is_leaf:
            made = torch.nn.Parameter(made, wanted)
        made.requires_grad_(wanted)
    grad = packed["grad"]
    if made.is_leaf:
        made.grad = grad.to(made.device) if grad is not None else None
    return made


def _fits(target: Any, value: Tensor) -> bool:
    """Whether the target can be filled; the training may have resized it (`batch.resize_as_(x).copy_(x)`)."""
    if not isinstance(target, Tensor) or target.is_inference() or target.dtype != value.dtype:
        return False
    if target.shape == value.shape:
        return True
    if type(target) is not Tensor or target.requires_grad or target.layout != torch.strided:
        return False
    try:
        target.resize_(value.shape)
    except RuntimeError:  # an array of numpy's lies there, too
        return False
    return True


def _fill(target: Tensor, value: Tensor) -> None:
    """Of an expanded tensor, in which several elements are one number, the first of each."""
    if target.layout == torch.strided and 0 in target.stride():
        firsts = tuple(slice(0, 1) if not stride else slice(None) for stride in target.stride())
        target, value = target[firsts], value[firsts]
    target.copy_(value)
