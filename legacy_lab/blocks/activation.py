"""Activation: an elementwise nonlinearity, with dropout behind it where wanted."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape, ShapeError

KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": F.tanh,
    "leaky_relu": F.leaky_relu,
}


@block
class Activation(Block):
    """Shape stays. `dropout` is the probability of a zero; it draws from torch's global generator."""

    def __init__(self, kind: str = "gelu", dropout: float = 0.0, tap: str | None = None) -> None:
        super().__init__(tap)
        self.kind, self.dropout = kind, dropout

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Any shape."""
        if self.kind not in KINDS:
            raise ShapeError(scope.path, f"kind one of {', '.join(KINDS)}", repr(self.kind), "correct Activation.kind")
        return shape

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Apply it; dropout only in training."""
        y = KINDS[self.kind](x)
        return F.dropout(y, self.dropout, self.training) if self.dropout else y
