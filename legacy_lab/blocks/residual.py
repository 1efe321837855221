"""Residual: a chain of blocks whose output is added to its input."""

from __future__ import annotations

from torch import Tensor

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.chain import Blocks, build_chain, container, infer_chain, parts
from legacy_lab.blocks.shapes import Shape, ShapeError


@block
class Residual(Block):
    """`x + scale · layers(x)`; the layers must keep the shape."""

    def __init__(self, layers: Blocks, scale: float = 1.0, tap: str | None = None) -> None:
        super().__init__(tap)
        self.layers, self.scale = container(layers, "Residual.layers"), scale

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Input and output shape of the layers are equal."""
        shapes = infer_chain(self.layers, shape, scope, "layers")
        if shapes and shapes[-1] != shape:
            last = list(parts(self.layers))[-1][0]
            raise ShapeError(
                f"{scope.path}.layers{last}",
                f"output {shape}, the residual's input",
                shapes[-1],
                "end with a block that restores it",
            )
        return shape

    def build(self, shape: Shape, scope: Scope) -> None:
        """Build the layers in order."""
        # Taps were kept by infer on this scope's table; building walks the same chain with a table of its own.
        build_chain(self.layers, shape, scope.copy(), "layers")

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Add the branch."""
        y = x
        for _, layer in parts(self.layers):
            y = layer(y, taps)
        return x + self.scale * y
