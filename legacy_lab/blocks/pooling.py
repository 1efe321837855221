"""Pool: one value from many positions."""

from __future__ import annotations

from torch import Tensor

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape, ShapeError

KINDS = ("mean", "max")


@block
class Pool(Block):
    """`(C, H, W)` -> `(C,)` over space, `(T, D)` -> `(D,)` over time."""

    def __init__(self, kind: str = "mean", tap: str | None = None) -> None:
        super().__init__(tap)
        self.kind = kind

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Images and sequences only."""
        if self.kind not in KINDS:
            raise ShapeError(scope.path, f"kind one of {', '.join(KINDS)}", repr(self.kind), "correct Pool.kind")
        if len(shape) not in (2, 3):
            raise ShapeError(scope.path, "input (C, H, W) or (T, D)", shape, "a vector has nothing to pool")
        return (shape[0],) if len(shape) == 3 else (shape[1],)

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Reduce space or time."""
        dims = (2, 3) if x.dim() == 4 else (1,)
        return x.mean(dims) if self.kind == "mean" else x.amax(dims)
