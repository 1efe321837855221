"""Merge: a named skip, joining the output of an earlier block."""

from __future__ import annotations

import torch
from torch import Tensor

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape, ShapeError

KINDS = ("add", "concat")


@block
class Merge(Block):
    """Adds the tap `skip` (equal shapes), or concatenates it as further channels or features."""

    def __init__(self, skip: str, kind: str = "add", tap: str | None = None) -> None:
        super().__init__(tap)
        self.skip, self.kind = skip, kind

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Shapes agree, but for the dimension that is concatenated."""
        if self.kind not in KINDS:
            raise ShapeError(scope.path, f"kind one of {', '.join(KINDS)}", repr(self.kind), "correct Merge.kind")
        other = scope.tap(self.skip)
        joined = 0 if len(shape) == 3 else len(shape) - 1
        rest = (shape[:joined] + shape[joined + 1 :], other[:joined] + other[joined + 1 :])
        if (self.kind == "add" and shape != other) or len(shape) != len(other) or rest[0] != rest[1]:
            raise ShapeError(
                scope.path,
                f"a shape like {shape}",
                f"{other} under tap {self.skip!r}",
                "resample one of them",
            )
        if self.kind == "add":
            return shape
        return (*shape[:joined], shape[joined] + other[joined], *shape[joined + 1 :])

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Join."""
        if self.kind == "add":
            return x + taps[self.skip]
        return torch.cat([x, taps[self.skip]], dim=1 if x.dim() == 4 else -1)
