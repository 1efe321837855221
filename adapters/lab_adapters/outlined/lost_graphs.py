"""Tensors that a model computed before a checkpoint was written: their numbers are kept, the graph behind them is not.

A hidden state that is detached before it is used, or a loss that is only printed, goes on as it was. A backward pass
that reaches such a tensor, as that of a policy gradient over several episodes does, would end there, and the models
would silently get other gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["without_its_graph"]


def without_its_graph(value: Tensor, name: str) -> Tensor:
    """The same numbers as part of a graph whose backward pass raises `RuntimeError`, saying what `name` is."""
    with torch.enable_grad():
        made: Tensor = _Lost.apply(value.detach().requires_grad_(), name)  # type: ignore[no-untyped-call]
    return made


class _Lost(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, name: str) -> Tensor:
        ctx.name = name
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> None:
        raise RuntimeError(
            f"resume: a backward pass goes through {ctx.name}, which was computed before the checkpoint was written; "
            "no checkpoint holds the graph that leads from there to the models: resume from one that was written when "
            "nothing waited for its backward pass"
        )
