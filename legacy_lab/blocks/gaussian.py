"""Gaussian: the sampled latent of a variational autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from legacy_lab.blocks.block import Block, Scope, Taps, block
from legacy_lab.blocks.shapes import Shape, require_rank


@block
class Gaussian(Block):
    """`(D,)` -> `(latent,)`: a sample of N(mean, exp(logvar)), reparametrised (https://arxiv.org/abs/1312.6114).

    Draws from torch's global generator in training; in evaluation it gives the mean and draws nothing. Keeps
    `<tap>.mean` and `<tap>.logvar` for the objective.
    """

    def __init__(self, latent: int, tap: str = "z") -> None:
        super().__init__(tap)
        self.latent, self.name = latent, tap

    def infer(self, shape: Shape, scope: Scope) -> Shape:
        """A vector in, a vector out."""
        require_rank(scope.path, shape, 1, "(D,)")
        scope.keep(f"{self.name}.mean", (self.latent,))
        scope.keep(f"{self.name}.logvar", (self.latent,))
        return (self.latent,)

    def build(self, shape: Shape, scope: Scope) -> None:
        """Torch's default initialisation."""
        self.map = nn.Linear(shape[0], 2 * self.latent)

    def run(self, x: Tensor, taps: Taps) -> Tensor:
        """Sample in training, the mean in evaluation."""
        mean: Tensor
        mean, logvar = self.map(x).chunk(2, dim=-1)
        taps[f"{self.name}.mean"], taps[f"{self.name}.logvar"] = mean, logvar
        if not self.training:
            return mean
        z: Tensor = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        return z
