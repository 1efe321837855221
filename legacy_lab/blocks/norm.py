"""Norm: batch, layer or group normalisation."""

from __future__ import annotations

from torch import Tensor, nn

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape, ShapeError, require_divisible

KINDS = ("batch", "layer", "group")


@block
class Norm(Block):
    """Shape stays. `batch` and `group` normalise channels (dimension 0), `layer` the last dimension."""

    def __init__(self, kind: str = "layer", groups: int = 4, momentum: float = 0.1, tap: str | None = None) -> None:
        super().__init__(tap)
        self.kind, self.groups, self.momentum = kind, groups, momentum

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Group norm needs channels divisible by `groups`."""
        if self.kind not in KINDS:
            raise ShapeError(scope.path, f"kind one of {', '.join(KINDS)}", repr(self.kind), "correct Norm.kind")
        if self.kind == "batch" and len(shape) not in (1, 3):
            raise ShapeError(scope.path, "input (D,) or (C, H, W)", shape, "use kind='layer' for sequences")
        if self.kind == "group":
            require_divisible(scope.path, shape[0], self.groups, "channels", "groups")
        return shape

    def build(self, shape: Shape, scope: Scope) -> None:
        """Scale 1, shift 0."""
        self.map: nn.Module
        if self.kind == "layer":
            self.map = nn.LayerNorm(shape[-1])
        elif self.kind == "group":
            self.map = nn.GroupNorm(self.groups, shape[0])
        elif len(shape) == 3:
            self.map = nn.BatchNorm2d(shape[0], momentum=self.momentum)
        else:
            self.map = nn.BatchNorm1d(shape[0], momentum=self.momentum)

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Normalise."""
        y: Tensor = self.map(x)
        return y
