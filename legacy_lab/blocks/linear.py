"""Linear: an affine map of the last dimension."""

from __future__ import annotations

from torch import Tensor, nn

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape


@block
class Linear(Block):
    """`(…, D)` -> `(…, features)`."""

    def __init__(self, features: int, bias: bool = True, tap: str | None = None) -> None:
        super().__init__(tap)
        self.features, self.bias = features, bias

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Only the last dimension changes."""
        return (*shape[:-1], self.features)

    def build(self, shape: Shape, scope: Scope) -> None:
        """Torch's default initialisation."""
        self.map = nn.Linear(shape[-1], self.features, bias=self.bias)

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Apply the map."""
        y: Tensor = self.map(x)
        return y
