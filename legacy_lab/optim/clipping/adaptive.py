"""Adaptive clipping: a gradient may be as large as a share of its weight."""

from __future__ import annotations

import gin

from legacy_lab.optim.clipping.clip import Clip, Named, gradient


@gin.configurable
class ClipAdaptive(Clip):
    """Each gradient's norm is at most `limit` times its parameter's, which counts as at least `floor`.

    After Brock et al. 2021, https://arxiv.org/abs/2102.06171, equation 3, with whole tensors for units.
    """

    def __init__(self, limit: float, reach: str = "optimizer", floor: float = 1e-3) -> None:
        super().__init__(limit, reach)
        self.floor = floor

    def __call__(self, parameters: Named, limit: float) -> None:
        """There is no single norm to report."""
        for _, parameter in parameters:
            largest = parameter.detach().norm().clamp_(min=self.floor) * limit
            norm = gradient(parameter).norm()
            if norm > largest:
                gradient(parameter).mul_(largest / norm)
