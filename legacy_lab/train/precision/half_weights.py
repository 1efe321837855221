"""A model whose weights are of a lower precision."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import gin
from torch import Tensor, nn

from legacy_lab.train.precision.precision import dtype_of


@gin.configurable
class HalfWeights:
    """The model's parameters and inputs are of `dtype`; its buffers too. See `Gradients.masters`."""

    def __init__(self, dtype: str = "bfloat16") -> None:
        self.dtype = dtype_of(dtype, "HalfWeights.dtype")

    def prepare(self, model: nn.Module) -> None:
        """Cast the weights once, and floating inputs at every call."""
        model.to(self.dtype)

        def cast(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(a.to(self.dtype) if isinstance(a, Tensor) and a.is_floating_point() else a for a in args)

        model.register_forward_pre_hook(cast)

    def context(self) -> AbstractContextManager[object]:
        """Nothing."""
        return contextlib.nullcontext()
