"""ConstantInit: one value everywhere."""

from __future__ import annotations

import gin
from torch import Tensor

from legacy_lab.blocks.inits.init import Init


@gin.configurable
class ConstantInit(Init):
    """Every element is `value`; draws nothing."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def __call__(self, parameter: Tensor) -> None:
        """Fill."""
        parameter.fill_(self.value)
