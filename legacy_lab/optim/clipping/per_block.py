"""Clipping by the norm of each block."""

from __future__ import annotations

import gin
from torch import nn

from legacy_lab.optim.clipping.clip import Clip, Named
from legacy_lab.optim.clipping.norm import ClipNorm


@gin.configurable
class ClipPerBlock(Clip):
    """The norm of each block on its own is brought down to `limit`.

    A block is what the first `depth` parts of its parameters' names say: `blocks.3` for 2.
    """

    def __init__(self, limit: float, reach: str = "optimizer", depth: int = 2) -> None:
        super().__init__(limit, reach)
        self.depth = depth

    def __call__(self, parameters: Named, limit: float) -> float:
        """The largest norm of any block."""
        blocks: dict[str, list[tuple[str, nn.Parameter]]] = {}
        for name, parameter in parameters:
            blocks.setdefault(".".join(name.split(".")[: self.depth]), []).append((name, parameter))
        clip = ClipNorm(limit)
        return max(clip(block, limit) for block in blocks.values())
