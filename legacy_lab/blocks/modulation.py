"""Modulation: a latent vector, kept under a tap, scales and shifts features."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape, ShapeError


class Modulation(Block):
    """Shape stays: `y = (1 + scale(z)) · x + shift(z)`, with `z` a vector tap `(L,)`; starts as the identity."""

    def __init__(self, latent: str = "z", tap: str | None = None) -> None:
        super().__init__(tap)
        self.latent = latent

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """The latent is a vector."""
        latent = scope.tap(self.latent)
        if len(latent) != 1:
            raise ShapeError(scope.path, f"a vector (L,) under tap {self.latent!r}", latent, "pool or reshape it first")
        return shape

    def build(self, shape: Shape, scope: Scope) -> None:
        """A small normal map, so that the latent matters from the first step."""
        features = shape[0] if len(shape) != 2 else shape[1]
        self.map = nn.Linear(scope.tap(self.latent)[0], 2 * features)
        nn.init.normal_(self.map.weight, std=0.02)
        nn.init.zeros_(self.map.bias)

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Scale and shift each feature."""
        scale, shift = self.map(taps[self.latent]).chunk(2, dim=-1)
        if x.dim() == 4:
            scale, shift = scale[:, :, None, None], shift[:, :, None, None]
        elif x.dim() == 3:
            scale, shift = scale[:, None], shift[:, None]
        y: Tensor = (1 + scale) * x + shift
        return y


@block
class FiLM(Modulation):
    """Feature-wise linear modulation, Perez et al. 2018, https://arxiv.org/abs/1709.07871."""


@block
class AdaIN(Modulation):
    """Adaptive instance normalisation, Huang and Belongie 2017, https://arxiv.org/abs/1703.06868."""

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """Images of more than one position, since each is normalised over its space."""
        if len(shape) != 3 or shape[1] * shape[2] < 2:
            raise ShapeError(scope.path, "input (C, H, W) of at least two positions", shape, "use FiLM for vectors")
        return super().infer(shape, scope)

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Normalise each channel of each image, then modulate."""
        return super().run(F.instance_norm(x), taps)
