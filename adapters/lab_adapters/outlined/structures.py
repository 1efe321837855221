"""Layers and tensors that a training adds to its models, takes away, or puts in place of others.

As models that grow do, heads for new classes, and fields of features that are sampled up. A resumed program has its
models as it makes them before the training: they get the layers of then, in their order, before they are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.nn import Module

from lab_adapters.outlined.packing import MISSING, Packing

__all__ = ["homes_of", "packed_structure", "put_structure", "structure_of"]

_KINDS = ("_parameters", "_buffers", "_modules")


def structure_of(part: Module, path_of: Callable[[Any], str | None]) -> tuple[Any, ...]:
    """What tells whether a module's own tensors and children are those that it had, whatever their numbers."""
    tensors = tuple((name, _shape(tensor)) for kind in _KINDS[:2] for name, tensor in getattr(part, kind).items())
    children = tuple((name, path_of(child)) for name, child in part._modules.items())
    return tensors, frozenset(part._non_persistent_buffers_set), children


def homes_of(parts: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of models' parts, by the parts' paths and their names there."""
    return {
        f"{path}.{name}": tensor
        for path, part in parts.items()
        if isinstance(part, Module)
        for kind in _KINDS[:2]
        for name, tensor in getattr(part, kind).items()
        if tensor is not None
    }


def packed_structure(part: Module, packing: Packing) -> dict[str, Any] | None:
    """It, for a checkpoint; None where a child has no plain form."""
    made: dict[str, Any] = {"not persistent": sorted(part._non_persistent_buffers_set)}
    for kind in _KINDS:
        made[kind] = []
        for name, one in getattr(part, kind).items():
            made[kind].append([name, packing.pack(one)])
            if packing.left:
                packing.forget()
                return None
    return made


def put_structure(part: Module, packed: Mapping[str, Any], unpack: Callable[[Any, Any], Any]) -> None:
    """Give it to the module; `unpack` makes a tensor or a child of its plain form and of what stands there now."""
    made = {kind: {name: unpack(one, getattr(part, kind).get(name)) for name, one in packed[kind]} for kind in _KINDS}
    if any(one is MISSING for entries in made.values() for one in entries.values()):
        return  # loading the model says which layers it lacks
    for kind, entries in made.items():
        own = getattr(part, kind)
        own.clear()
        own.update(entries)
    part._non_persistent_buffers_set.clear()
    part._non_persistent_buffers_set.update(packed["not persistent"])


def _shape(tensor: Tensor | None) -> Any:
    return None if tensor is None else (type(tensor), tensor.shape, tensor.dtype)
