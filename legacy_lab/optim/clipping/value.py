"""Clipping by value."""

from __future__ import annotations

import gin

from legacy_lab.optim.clipping.clip import Clip, Named, gradient


@gin.configurable
class ClipValue(Clip):
    """Each element of each gradient is brought into [-limit, limit]."""

    def __call__(self, parameters: Named, limit: float) -> None:
        """There is no norm to report."""
        for _, parameter in parameters:
            gradient(parameter).clamp_(-limit, limit)
