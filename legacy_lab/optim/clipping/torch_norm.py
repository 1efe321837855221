"""Clipping by the global norm, by torch's formula."""

from __future__ import annotations

import gin
from torch.nn.utils import clip_grad_norm_

from legacy_lab.optim.clipping.clip import Clip, Named


@gin.configurable
class ClipTorchNorm(Clip):
    """`torch.nn.utils.clip_grad_norm_`: the norm of the norms, and an epsilon under the fraction."""

    def __call__(self, parameters: Named, limit: float) -> float:
        """As torch does it."""
        return float(clip_grad_norm_([parameter for _, parameter in parameters], limit))
