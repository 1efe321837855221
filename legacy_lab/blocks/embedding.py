"""Embedding: token and position vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape, require_rank


@block
class Embedding(Block):
    """Integer tokens `(T,)` -> `(T, features)`, with a learned position vector added."""

    takes = torch.int64

    def __init__(self, vocabulary: int, features: int, positions: bool = True, tap: str | None = None) -> None:
        super().__init__(tap)
        self.vocabulary, self.features, self.positions = vocabulary, features, positions

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """One vector a token."""
        require_rank(scope.path, shape, 1, "(T,) of tokens")
        return (shape[0], self.features)

    def build(self, shape: Shape, scope: Scope) -> None:
        """Normal with standard deviation 0.02, as in GPT-2."""
        self.token = nn.Parameter(0.02 * torch.randn(self.vocabulary, self.features))
        if self.positions:
            self.position = nn.Parameter(0.02 * torch.randn(shape[0], self.features))

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Look up."""
        y_BTD = nn.functional.embedding(x, self.token)
        return y_BTD + self.position[: x.shape[1]] if self.positions else y_BTD
