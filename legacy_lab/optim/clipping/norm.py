"""Clipping by the global norm, by Lab's formula."""

from __future__ import annotations

import gin
import torch

from legacy_lab.optim.clipping.clip import Clip, Named, gradient


@gin.configurable
class ClipNorm(Clip):
    """All gradients times `limit / norm` where their global norm is above `limit`; no epsilon, unlike torch's."""

    def __call__(self, parameters: Named, limit: float) -> float:
        """The norm is the root of the sum over parameters of sums of squares."""
        norm = float(torch.stack([gradient(parameter).square().sum() for _, parameter in parameters]).sum().sqrt())
        if norm > limit:
            for _, parameter in parameters:
                gradient(parameter).mul_(limit / norm)
        return norm
