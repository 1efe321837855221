"""Residual: a chain of blocks whose output is added to its input."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.model import build_chain, infer_chain
from legacy_lab.blocks.shapes import Shape, ShapeError


@block
class Residual(Block):
    """`x + scale · layers(x)`; the layers must keep the shape."""

    def __init__(self, layers: Sequence[Block], scale: float = 1.0, tap: str | None = None) -> None:
        super().__init__(tap)
        self.layers, self.scale = nn.ModuleList(layers), scale

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Input and output shape of the layers are equal."""
        shapes = infer_chain(list(self.layers), shape, scope, "layers")  # type: ignore[arg-type]
        if shapes and shapes[-1] != shape:
            where = f"{scope.path}.layers[{len(shapes) - 1}]"
            raise ShapeError(
                where,
                f"output {shape}, the residual's input",
                shapes[-1],
                "end with a block that restores it",
            )
        return shape

    def build(self, shape: Shape, scope: Scope) -> None:
        """Build the layers in order."""
        # Taps were kept by infer on this scope's table; building walks the same chain with a table of its own.
        build_chain(list(self.layers), shape, Scope(scope.path, dict(scope.taps)), "layers")  # type: ignore[arg-type]

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Add the branch."""
        y = x
        for layer in self.layers:
            y = layer(y, taps)
        return x + self.scale * y
