"""XavierInit: the variance that linear maps keep in both directions."""

from __future__ import annotations

import gin
from torch import Tensor, nn

from legacy_lab.blocks.inits.init import Init


@gin.configurable
class XavierInit(Init):
    """Uniform with variance `2 gain² / (fan_in + fan_out)`, Glorot and Bengio 2010, eq. 16.

    Parameters of fewer than two dimensions, which have no fan, become zero.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, parameter: Tensor) -> None:
        """Draw."""
        if parameter.dim() < 2:
            parameter.zero_()
        else:
            nn.init.xavier_uniform_(parameter, gain=self.gain)
