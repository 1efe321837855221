"""SelfAttention: multi-head attention over time, or over the positions of an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape, ShapeError, require_divisible


@block
class SelfAttention(Block):
    """Shape stays: `(T, D)`, or `(C, H, W)` read as `T = H·W` positions of `D = C` features.

    Scaled dot-product attention of Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.
    """

    def __init__(self, heads: int = 4, causal: bool = False, tap: str | None = None) -> None:
        super().__init__(tap)
        self.heads, self.causal = heads, causal

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """The features must be divisible by `heads`."""
        if len(shape) not in (2, 3):
            raise ShapeError(scope.path, "input (T, D) or (C, H, W)", shape, "attention needs positions")
        require_divisible(scope.path, _features(shape), self.heads, "features", "heads")
        return shape

    def build(self, shape: Shape, scope: Scope) -> None:
        """Torch's default initialisation of the two maps."""
        features = _features(shape)
        self.qkv = nn.Linear(features, 3 * features)
        self.out = nn.Linear(features, features)

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Attend; image positions go back where they were."""
        x_BTD = x.flatten(2).transpose(1, 2) if x.dim() == 4 else x
        B, T, D = x_BTD.shape
        q_BHTK, k_BHTK, v_BHTK = self.qkv(x_BTD).reshape(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        w_BHTT = q_BHTK @ k_BHTK.transpose(-2, -1) * (D // self.heads) ** -0.5
        if self.causal:
            w_BHTT = w_BHTT.masked_fill(torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1), -torch.inf)
        y_BTD: Tensor = self.out((w_BHTT.softmax(-1) @ v_BHTK).transpose(1, 2).reshape(B, T, D))
        return y_BTD.transpose(1, 2).reshape(x.shape) if x.dim() == 4 else y_BTD


def _features(shape: Shape) -> int:
    return shape[0] if len(shape) == 3 else shape[1]
