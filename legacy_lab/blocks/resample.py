"""Resample: image size up or down by a whole factor."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape, require_divisible, require_rank


@block
class Resample(Block):
    """`(C, H, W)` -> `(C, H·up/down, W·up/down)`: nearest neighbour up, average down."""

    def __init__(self, up: int = 1, down: int = 1, tap: str | None = None) -> None:
        super().__init__(tap)
        self.up, self.down = up, down

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Height and width must be divisible by `down` after going up."""
        require_rank(scope.path, shape, 3, "(C, H, W)")
        height, width = shape[1] * self.up, shape[2] * self.up
        require_divisible(scope.path, height, self.down, "height", "down")
        require_divisible(scope.path, width, self.down, "width", "down")
        return (shape[0], height // self.down, width // self.down)

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Up first, then down."""
        if self.up > 1:
            x = x.repeat_interleave(self.up, dim=2).repeat_interleave(self.up, dim=3)
        return F.avg_pool2d(x, self.down) if self.down > 1 else x
