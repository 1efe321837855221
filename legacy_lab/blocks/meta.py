"""A model on torch's meta device: names, shapes and counts of its parameters, and no memory for them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from legacy_lab.blocks.block import Block, Scope
from legacy_lab.blocks.chain import infer_chain
from legacy_lab.blocks.shapes import Shape, ShapeError

if TYPE_CHECKING:
    from legacy_lab.blocks.model import Model


def on_meta(model: Model) -> Model:
    """A copy of a model, built or not, whose parameters have no memory; draws from no generator of torch's."""
    held = [*model.parameters(), *model.buffers()]
    # deepcopy takes what its memo holds for the copy, and so never copies a tensor's memory
    memo: dict[int, object] = {id(tensor): _without_memory(tensor) for tensor in held}
    twin = copy.deepcopy(model, memo)
    if not held:
        with torch.device("meta"):
            twin.build()
    return twin


def cross_check(model: Model, batch: int = 2) -> list[str]:
    """Run a model on the meta device and compare what every block computes with what its `infer` said.

    Returns the paths that were compared. Raises `ShapeError` for the first block that computes another shape, and
    whatever a block raises that cannot run without data.
    """
    twin = on_meta(model)
    said = _inferred(twin)
    computed: list[tuple[Block, Shape]] = []

    def note(block: Block, _: object, output: Tensor) -> None:
        computed.append((block, tuple(output.shape[1:])))

    blocks = [module for module in twin.modules() if isinstance(module, Block)]
    for block in blocks:
        block.register_forward_hook(note)
    takes = blocks[0].takes if blocks else torch.float32
    with torch.no_grad():
        twin(torch.zeros(batch, *twin.input_shape, dtype=takes, device="meta"))
    checked = []
    for block, shape in computed:
        # a block that stands in several places runs in their order; one that a block of its own repeats has one place
        left = said[block]
        path, expected = left.pop(0) if len(left) > 1 else left[0]
        name = type(block).__name__
        if shape != expected:
            raise ShapeError(path, f"output {expected}, as {name}.infer says", shape, f"correct {name}.infer or run")
        checked.append(path)
    return checked


def shapes_of(model: Model) -> dict[str, tuple[Shape, Shape]]:
    """Inferred input and output shape of every block, by path, a block's own blocks before it. Allocates nothing."""
    scope = Scope.of("model", model.blocks)
    infer_chain(model.blocks, model.input_shape, scope, "blocks")
    return scope.seen


def module_name(path: str) -> str:
    """`blocks.2.layers.head`, as in the names of parameters, for `model.blocks[2].layers['head']`."""
    return path.removeprefix("model.").replace("[", ".").replace("]", "").replace("'", "")


def _inferred(model: Model) -> dict[nn.Module, list[tuple[str, Shape]]]:
    found: dict[nn.Module, list[tuple[str, Shape]]] = {}
    for path, (_, out) in shapes_of(model).items():
        found.setdefault(model.get_submodule(module_name(path)), []).append((path, out))
    return found


def _without_memory(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta")
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
