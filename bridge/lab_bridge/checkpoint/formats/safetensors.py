"""safetensors files: the model's tensors under their own names."""

from __future__ import annotations

from lab_bridge.checkpoint.format import Format, Leaves
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Place, address
from lab_bridge.checkpoint.tree import Leaf, TreePath


def _recognises(leaves: Leaves) -> bool:
    return False  # by its container


def _places(names: Names, dialect: str) -> list[Place]:
    return [Place("tensors/<name>", "weights/<name>")]


def _implied(leaves: Leaves) -> dict[TreePath, Leaf]:
    return {address("metadata/format"): "pt"}


FORMAT = Format(
    "safetensors",
    "a safetensors file",
    _recognises,
    _places,
    ".safetensors",
    container="safetensors",
    rank=9,
    implied=_implied,
    plain=True,
)
