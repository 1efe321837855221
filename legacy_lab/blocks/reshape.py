"""Reshape: the same numbers in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape, ShapeError


@block
class Reshape(Block):
    """Any shape -> `shape`, with as many elements; one size may be -1."""

    def __init__(self, shape: Sequence[int], tap: str | None = None) -> None:
        super().__init__(tap)
        self.shape: Shape = tuple(shape)

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Both shapes hold the same number of elements."""
        total, known = math.prod(shape), math.prod(size for size in self.shape if size != -1)
        holes = self.shape.count(-1)
        if holes > 1 or (total % known if holes else total != known):
            raise ShapeError(
                scope.path, f"{total} elements, as in the input {shape}", self.shape, "correct Reshape.shape"
            )
        return tuple(total // known if size == -1 else size for size in self.shape)

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Reshape all but the batch dimension."""
        return x.reshape(x.shape[0], *self.shape)
