"""A model: a chain of blocks with named taps."""

from __future__ import annotations

from collections.abc import Sequence

import gin
from torch import Tensor, nn

from legacy_lab.blocks.block import Block, Scope, Taps
from legacy_lab.blocks.shapes import Shape


@gin.configurable
class Model(nn.Module):
    """Blocks run one after the other; taps carry outputs past them.

    Shapes of the whole chain are inferred first. Only when every block has accepted its input are parameters
    allocated, in the order of the chain, so the generator's draws depend on nothing else.

    Parameters are named `blocks.<index>.…`, whatever wraps the model.
    """

    def __init__(self, input_shape: Sequence[int], blocks: Sequence[Block]) -> None:
        super().__init__()
        self.input_shape: Shape = tuple(input_shape)
        self.shapes = infer_chain(blocks, self.input_shape, Scope("model", {}), "blocks")
        self.blocks = nn.ModuleList(blocks)
        build_chain(blocks, self.input_shape, Scope("model", {}), "blocks")

    @property
    def output_shape(self) -> Shape:
        """Shape of the last block's output, without batch."""
        return self.shapes[-1] if self.shapes else self.input_shape

    def forward(self, x: Tensor) -> tuple[Tensor, Taps]:
        """`(B, *input_shape)` -> `(B, *output_shape)`, and what the taps kept on the way."""
        taps: Taps = {}
        for block in self.blocks:
            x = block(x, taps)
        return x, taps


def infer_chain(blocks: Sequence[Block], shape: Shape, scope: Scope, name: str) -> list[Shape]:
    """Output shape of every block of a chain. Raises `ShapeError`; allocates nothing."""
    shapes = []
    for index, block in enumerate(blocks):
        if not isinstance(block, Block):
            raise TypeError(
                f"{scope.path}.{name}[{index}]: expected a block, found {block!r}; "
                "in gin, call the reference: @Conv(), not @Conv"
            )
        shape = block.infer_and_keep(shape, scope.child(f"{name}[{index}]"))
        shapes.append(shape)
    return shapes


def build_chain(blocks: Sequence[Block], shape: Shape, scope: Scope, name: str) -> None:
    """Allocate the parameters of a chain that `infer_chain` has accepted."""
    for index, block in enumerate(blocks):
        child = scope.child(f"{name}[{index}]")
        block.build(shape, child)
        shape = block.infer_and_keep(shape, child)
