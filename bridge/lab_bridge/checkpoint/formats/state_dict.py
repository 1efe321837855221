"""A bare `state_dict()`, saved by itself."""

from __future__ import annotations

from lab_bridge.checkpoint.format import Format, Leaves
from lab_bridge.checkpoint.parameter_names import Names
from lab_bridge.checkpoint.places import Place
from lab_bridge.checkpoint.stored import StoredTensor
from lab_bridge.checkpoint.tree import Step


def _recognises(leaves: Leaves) -> bool:
    named = [path for path in leaves if Step("_metadata", "attribute") not in path]
    return bool(named) and all(len(path) == 1 and isinstance(leaves[path], StoredTensor) for path in named)


def _places(names: Names, dialect: str) -> list[Place]:
    return [Place("@_metadata/<module>/<rest...>", "versions/<module>/<rest...>"), Place("<name>", "weights/<name>")]


FORMAT = Format("state-dict", "a bare state dict", _recognises, _places, ".pt", rank=8)
