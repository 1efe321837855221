"""KaimingInit: the variance that rectifiers keep."""

from __future__ import annotations

import gin
from torch import Tensor, nn

from legacy_lab.blocks.inits.init import Init


@gin.configurable
class KaimingInit(Init):
    """Normal with variance `gain² / fan_in`, He et al. 2015, https://arxiv.org/abs/1502.01852, section 2.2.

    Parameters of fewer than two dimensions, which have no fan, become zero.
    """

    def __init__(self, nonlinearity: str = "relu") -> None:
        self.nonlinearity = nonlinearity

    def __call__(self, parameter: Tensor) -> None:
        """Draw."""
        if parameter.dim() < 2:
            parameter.zero_()
        else:
            nn.init.kaiming_normal_(parameter, nonlinearity=self.nonlinearity)  # type: ignore[arg-type]
