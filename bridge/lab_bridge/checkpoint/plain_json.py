"""Plain leaves and paths as JSON, and back, bit by bit."""

from __future__ import annotations

import base64
import math
from collections import Counter, OrderedDict
from typing import Any

import torch

from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.tree import Leaf, Step, TreePath, show

__all__ = ["leaf_from_json", "leaf_to_json", "path_from_json", "path_to_json"]

_EMPTY: dict[str, Any] = {"dict": dict, "ordered": OrderedDict, "counter": Counter, "list": list, "tuple": tuple}


def leaf_to_json(leaf: Leaf, path: TreePath = ()) -> Any:
    """What JSON cannot say is an object with one key, the type. Raises `CheckpointError` for what is not plain."""
    if leaf is None or isinstance(leaf, bool | int | str) or (isinstance(leaf, float) and math.isfinite(leaf)):
        return leaf
    if isinstance(leaf, float):
        return {"float": repr(leaf)}
    if isinstance(leaf, complex):
        return {"complex": [leaf_to_json(leaf.real), leaf_to_json(leaf.imag)]}
    if isinstance(leaf, bytes | bytearray):
        return {type(leaf).__name__: base64.b64encode(leaf).decode()}
    if isinstance(leaf, torch.Size):
        return {"size": list(leaf)}
    if isinstance(leaf, torch.dtype):
        return {"dtype": str(leaf).removeprefix("torch.")}
    if isinstance(leaf, torch.device):
        return {"device": str(leaf)}
    if isinstance(leaf, set | frozenset | tuple) and leaf:
        return {type(leaf).__name__: [leaf_to_json(item, path) for item in leaf]}
    for name, kind in _EMPTY.items():
        if type(leaf) is kind:
            return {"empty": name}
    raise CheckpointError(f"{show(path)}: expected a tensor or a plain value, found {type(leaf).__name__}")


def leaf_from_json(told: Any) -> Leaf:
    """Back."""
    if not isinstance(told, dict):
        return told
    ((kind, value),) = told.items()
    if kind in ("bytes", "bytearray"):
        return {"bytes": bytes, "bytearray": bytearray}[kind](base64.b64decode(value))
    if kind in ("set", "frozenset", "tuple"):
        return {"set": set, "frozenset": frozenset, "tuple": tuple}[kind](leaf_from_json(item) for item in value)
    if kind == "complex":
        return complex(*(leaf_from_json(part) for part in value))
    if kind == "dtype":
        return getattr(torch, value)
    if kind == "empty":
        return _EMPTY[value]()
    return {"float": float, "size": torch.Size, "device": torch.device}[kind](value)


def path_to_json(path: TreePath) -> list[Any]:
    """Keys; where a step is not one into a dict, its kind as well."""
    return [leaf_to_json(step.key) if step.kind == "dict" else [leaf_to_json(step.key), step.kind] for step in path]


def path_from_json(told: list[Any]) -> TreePath:
    """Back."""
    return tuple(
        Step(leaf_from_json(part[0]), part[1]) if isinstance(part, list) else Step(leaf_from_json(part))
        for part in told
    )
