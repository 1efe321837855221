"""Weights that are computed from what is trained: spectral norm, equalised learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import gin
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

LAYERS = (nn.Linear, nn.Conv2d)


@gin.configurable  # type: ignore[untyped-decorator]  # gin ships no types
def spectral(model: Callable[[], nn.Module], iterations: int = 1) -> nn.Module:
    """Every linear and convolutional weight over its largest singular value.

    Miyato et al. 2018, https://arxiv.org/abs/1802.05957; `iterations` of the power method at every forward pass in
    training mode, kept in buffers.
    """
    built = model()
    for layer in _layers(built):
        spectral_norm(layer, n_power_iterations=iterations)
    return built


@gin.configurable  # type: ignore[untyped-decorator]  # gin ships no types
def equalised(model: Callable[[], nn.Module], gain: float = math.sqrt(2)) -> nn.Module:
    """Weights are normal with variance 1, and scaled by `gain / sqrt(fan in)` at run time.

    So that every layer learns at the same rate: Karras et al. 2018, https://arxiv.org/abs/1710.10196, section 4.1.
    """
    built = model()
    for layer in _layers(built):
        weight = layer.weight
        assert isinstance(weight, Tensor)
        with torch.no_grad():
            nn.init.normal_(weight)
        parametrize.register_parametrization(layer, "weight", _Scaled(gain / math.sqrt(weight[0].numel())), unsafe=True)
    return built


class _Scaled(nn.Module):
    """A constant times a weight."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, weight: Tensor) -> Tensor:
        """Multiply."""
        return weight * self.factor


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    return iter([layer for layer in model.modules() if isinstance(layer, LAYERS)])
