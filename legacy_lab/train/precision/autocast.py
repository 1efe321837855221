"""Mixed precision by autocast."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import gin
import torch
from torch import Tensor, nn

from legacy_lab.train.precision.precision import dtype_of


@gin.configurable
class Autocast:
    """`torch.autocast` around the objective, or (`loss_inside=False`) around the model only.

    In the latter case what the model returns goes back to fp32, and the loss is computed in it. `cache` lets
    autocast cast a weight once that is used twice in one forward pass; the bits of its gradient depend on that.
    """

    def __init__(
        self, dtype: str = "bfloat16", loss_inside: bool = True, cache: bool = True, device: str = "cpu"
    ) -> None:
        self.dtype, self.loss_inside, self.cache, self.device = (
            dtype_of(dtype, "Autocast.dtype"),
            loss_inside,
            cache,
            device,
        )

    def prepare(self, model: nn.Module) -> None:
        """Put autocast around the model's forward where the loss stays outside."""
        if self.loss_inside:
            return
        forward = model.forward

        def under_autocast(*args: Any, **kwargs: Any) -> Any:
            with self.autocast():
                out = forward(*args, **kwargs)
            return _as_fp32(out)

        model.forward = under_autocast

    def context(self) -> AbstractContextManager[object]:
        """Around the objective."""
        return self.autocast() if self.loss_inside else contextlib.nullcontext()

    def autocast(self) -> AbstractContextManager[object]:
        """A fresh context, which starts with an empty cache."""
        return torch.autocast(self.device, dtype=self.dtype, cache_enabled=self.cache)


def _as_fp32(out: Any) -> Any:
    if isinstance(out, Tensor):
        return out.float() if out.is_floating_point() else out
    if isinstance(out, dict):
        return {name: _as_fp32(value) for name, value in out.items()}
    if isinstance(out, list | tuple):
        return type(out)(_as_fp32(value) for value in out)
    return out
