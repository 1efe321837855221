"""NormalInit: a normal distribution, cut off where wanted."""

from __future__ import annotations

import gin
from torch import Tensor, nn

from legacy_lab.blocks.inits.init import Init


@gin.configurable
class NormalInit(Init):
    """Normal with mean 0; redrawn beyond `cut` standard deviations where `cut` is given."""

    def __init__(self, std: float = 0.02, cut: float | None = None) -> None:
        if std < 0 or (cut is not None and cut <= 0):
            raise ValueError(f"NormalInit: expected std >= 0 and cut > 0, found std={std}, cut={cut}")
        self.std, self.cut = std, cut

    def __call__(self, parameter: Tensor) -> None:
        """Draw."""
        if self.cut is None:
            nn.init.normal_(parameter, std=self.std)
        else:
            nn.init.trunc_normal_(parameter, std=self.std, a=-self.cut * self.std, b=self.cut * self.std)
