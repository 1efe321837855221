"""A block of this project's own: squeeze-and-excitation (https://arxiv.org/abs/1709.01507)."""

from torch import nn

from legacy_lab.blocks import Block, block
from legacy_lab.blocks.shapes import require_rank


@block
class Excite(Block):
    """`(C, H, W)` -> the same: each channel times a gate computed from all channels' means."""

    def __init__(self, squeeze=2, tap=None):
        super().__init__(tap)
        self.squeeze = squeeze

    def infer(self, shape, scope):
        require_rank(scope.path, shape, 3, "(C, H, W)")
        return shape

    def build(self, shape, scope):
        hidden = max(1, shape[0] // self.squeeze)
        self.gate = nn.Sequential(nn.Linear(shape[0], hidden), nn.ReLU(), nn.Linear(hidden, shape[0]), nn.Sigmoid())

    def run(self, x, taps):
        return x * self.gate(x.mean((2, 3)))[:, :, None, None]
