"""Conv: a 2-D convolution that keeps the size, or divides it by its stride."""

from __future__ import annotations

from torch import Tensor, nn

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape, ShapeError, require_divisible, require_rank


@block
class Conv(Block):
    """`(C, H, W)` -> `(channels, H/stride, W/stride)`; `kernel` is odd."""

    def __init__(self, channels: int, kernel: int = 3, stride: int = 1, tap: str | None = None) -> None:
        super().__init__(tap)
        self.channels, self.kernel, self.stride = channels, kernel, stride

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Height and width must be divisible by the stride."""
        require_rank(scope.path, shape, 3, "(C, H, W)")
        if self.kernel % 2 == 0:
            raise ShapeError(scope.path, "an odd kernel", self.kernel, "an even one would shift the image")
        _, height, width = shape
        require_divisible(scope.path, height, self.stride, "height", "stride")
        require_divisible(scope.path, width, self.stride, "width", "stride")
        return (self.channels, height // self.stride, width // self.stride)

    def build(self, shape: Shape, scope: Scope) -> None:
        """Torch's default initialisation."""
        self.map = nn.Conv2d(shape[0], self.channels, self.kernel, stride=self.stride, padding=self.kernel // 2)

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Convolve."""
        y: Tensor = self.map(x)
        return y
