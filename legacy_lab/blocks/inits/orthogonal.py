"""OrthogonalInit: maps that keep lengths."""

from __future__ import annotations

import gin
from torch import Tensor, nn

from legacy_lab.blocks.inits.init import Init


@gin.configurable
class OrthogonalInit(Init):
    """`gain` times a (semi-)orthogonal matrix, Saxe et al. 2014, https://arxiv.org/abs/1312.6120.

    Further dimensions are flattened into the second; parameters of fewer than two dimensions become zero.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, parameter: Tensor) -> None:
        """Draw."""
        if parameter.dim() < 2:
            parameter.zero_()
        else:
            nn.init.orthogonal_(parameter, gain=self.gain)
