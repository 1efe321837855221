"""A model: a chain of blocks with named taps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import gin
from torch import Tensor, nn

from legacy_lab.blocks.block import Scope, Taps
from legacy_lab.blocks.chain import Blocks, build_chain, container, infer_chain, parts
from legacy_lab.blocks.inits import Init, initialise, require_matches
from legacy_lab.blocks.meta import on_meta
from legacy_lab.blocks.shapes import Shape


@gin.configurable
class Model(nn.Module):
    """Blocks run one after the other; taps carry outputs past them.

    Shapes of the whole chain are inferred first. Only when every block has accepted its input are parameters
    allocated, in the order of the chain, so the generator's draws depend on nothing else. `inits` then draw those
    parameters again whose names match their pattern (the last that matches counts), in the order of the parameters.

    Parameters are named `blocks.<index>.…`, or `blocks.<name>.…` where `blocks` is a mapping, whatever wraps the model.
    """

    def __init__(self, input_shape: Sequence[int], blocks: Blocks, inits: Mapping[str, Init] | None = None) -> None:
        super().__init__()
        self.input_shape: Shape = tuple(input_shape)
        self.blocks = container(blocks, "model.blocks")
        self.shapes = infer_chain(self.blocks, self.input_shape, Scope.of("model", self.blocks), "blocks")
        if inits:
            require_matches(inits, on_meta(self))
        self.build()
        initialise(self, inits or {})

    @property
    def output_shape(self) -> Shape:
        """Shape of the last block's output, without batch."""
        return self.shapes[-1] if self.shapes else self.input_shape

    def build(self) -> None:
        """Allocate the parameters of every block, in order."""
        build_chain(self.blocks, self.input_shape, Scope.of("model", self.blocks), "blocks")

    def forward(self, x: Tensor) -> tuple[Tensor, Taps]:
        """`(B, *input_shape)` -> `(B, *output_shape)`, and what the taps kept on the way."""
        taps: Taps = {}
        for _, block in parts(self.blocks):
            x = block(x, taps)
        return x, taps
