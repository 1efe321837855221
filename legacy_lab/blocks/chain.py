"""A chain of blocks: in order, by index or under names of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from legacy_lab.blocks.block import Block, Scope
from legacy_lab.blocks.shapes import Shape

#: Blocks in order. A name keeps a block's parameters where they are (`blocks.head.…`) when others come before it.
Blocks = Sequence[Block] | Mapping[str, Block]


def container(blocks: Blocks, path: str) -> nn.ModuleList | nn.ModuleDict:
    """The module that holds a chain. Raises `TypeError` and `ValueError` for what cannot stand in one."""
    for part, block in parts(blocks):
        if not isinstance(block, Block):
            raise TypeError(
                f"{path}{part}: expected a block, found {block!r}; in gin, call the reference: @Conv(), not @Conv"
            )
    if not isinstance(blocks, Mapping):
        return nn.ModuleList(blocks)
    for name in blocks:
        if not re.fullmatch(r"[A-Za-z_]\w*", str(name)) or hasattr(nn.ModuleDict, str(name)):
            raise ValueError(f"{path}: expected names of blocks as Python names, found {name!r}; rename it")
    return nn.ModuleDict(blocks)


def parts(blocks: Blocks | nn.ModuleList | nn.ModuleDict) -> Iterator[tuple[str, Block]]:
    """Every block with its part of a path: `[2]` or `['head']`."""
    if isinstance(blocks, Mapping | nn.ModuleDict):
        yield from ((f"[{name!r}]", block) for name, block in blocks.items())  # type: ignore[misc]
    else:
        yield from ((f"[{index}]", block) for index, block in enumerate(blocks))  # type: ignore[misc]


def infer_chain(blocks: Blocks | nn.ModuleList | nn.ModuleDict, shape: Shape, scope: Scope, name: str) -> list[Shape]:
    """Output shape of every block of a chain. Raises `ShapeError`; allocates nothing."""
    shapes = []
    for part, block in parts(blocks):
        shape = block.infer_and_keep(shape, scope.child(f"{name}{part}"))
        shapes.append(shape)
    return shapes


def build_chain(blocks: Blocks | nn.ModuleList | nn.ModuleDict, shape: Shape, scope: Scope, name: str) -> None:
    """Allocate the parameters of a chain that `infer_chain` has accepted."""
    for part, block in parts(blocks):
        child = scope.child(f"{name}{part}")
        block.build(shape, child)
        shape = block.infer_and_keep(shape, child)
