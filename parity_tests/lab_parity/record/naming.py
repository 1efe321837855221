"""Names of parameters and buffers as module paths, found without the program's help.

Modules are found among Python's live objects (only when a parameter turns up that has no name yet, so it costs
nothing per step). The name is the path from the outermost module that holds the tensor; wrappers that only pass
calls through (DDP's `module.`, compile's `_orig_mod.`) add no part to it.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

__all__ = ["Names", "buffers", "is_wrapper", "modules", "parameters", "twins"]

_WRAPPERS = {
    "AveragedModel": "module",
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "OptimizedModule": "_orig_mod",
    "FullyShardedDataParallel": "_fsdp_wrapped_module",
}


def is_wrapper(module: nn.Module) -> bool:
    """Whether the module only passes calls through to the one it wraps."""
    return type(module).__name__ in _WRAPPERS


class Names:
    """Tensor -> name. A tensor that no module holds gets `unnamed.<n>`, n counted in order of appearance.

    Tied weights carry all their names, joined by `|`. Where one set of parameters lies in several outermost
    modules whose paths collide, the class name of the module and its number come first: `Encoder#0.weight`.
    """

    def __init__(self) -> None:
        self._names: dict[int, tuple[weakref.ref[Tensor], str]] = {}
        self._unnamed = 0

    def of(self, tensor: Tensor) -> str | None:
        """The tensor's name, or None if it was never resolved."""
        known = self._names.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None

    def resolve(self, tensors: Iterable[Tensor], fallback: Iterable[str | None] = ()) -> list[str]:
        """Names of the tensors, in their order; `fallback` names those that no module holds."""
        tensors = list(tensors)
        names = [self.of(tensor) for tensor in tensors]
        if None in names:
            self._learn(tensors, list(fallback))
            names = [self.of(tensor) for tensor in tensors]
        return [name for name in names if name is not None]

    def roots(self, tensors: Iterable[Tensor]) -> list[nn.Module]:
        """The outermost modules that hold any of the tensors."""
        wanted = {id(tensor) for tensor in tensors}
        return [root for root in _outermost() if any(id(tensor) in wanted for _, tensor in parameters(root))]

    def _learn(self, tensors: list[Tensor], fallback: list[str | None]) -> None:
        wanted = {id(tensor) for tensor in tensors}
        found: dict[int, list[str]] = {}
        owners: list[tuple[nn.Module, list[tuple[str, Tensor]]]] = []
        for root in _outermost():
            inside = [(path, tensor) for path, tensor in parameters(root) if id(tensor) in wanted]
            if inside:
                owners.append((root, inside))
        paths = [path for _, inside in owners for path in {path for path, _ in inside}]
        collide = len(paths) != len(set(paths))
        for number, (root, inside) in enumerate(owners):
            prefix = f"{type(root).__name__}#{number}." if collide else ""
            for path, tensor in inside:
                found.setdefault(id(tensor), []).append(prefix + path)
        for position, tensor in enumerate(tensors):
            if self.of(tensor) is not None:
                continue
            name = "|".join(dict.fromkeys(found.get(id(tensor), ())))
            if not name:
                given = fallback[position] if position < len(fallback) else None
                name = given or f"unnamed.{self._unnamed}"
                self._unnamed += given is None
            self._names[id(tensor)] = (weakref.ref(tensor), name)


def twins(roots: Iterable[nn.Module]) -> list[nn.Module]:
    """Live outermost modules that are bitwise copies of one of `roots`, by their parameters: averages, targets."""
    listed = list(roots)
    wanted = [found for found in (dict(parameters(root)) for root in listed) if found]
    candidates = [module for module in _outermost() if all(module is not root for root in listed)] if wanted else []
    return [module for module in candidates if any(_copies(dict(parameters(module)), root) for root in wanted)]


def _copies(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(
        a[path] is not b[path] and a[path].dtype == b[path].dtype and torch.equal(a[path], b[path])
        if a[path].shape == b[path].shape and a[path].device == b[path].device
        else False
        for path in a
    )


def _outermost() -> list[nn.Module]:
    """Every live module that is no other module's child, oldest first as the collector lists them."""
    modules = [
        thing for thing in gc.get_objects() if issubclass(type(thing), nn.Module) and "_modules" in thing.__dict__
    ]
    children = {id(child) for module in modules for child in module._modules.values() if child is not None}
    return [module for module in modules if id(module) not in children]


def parameters(
    module: nn.Module, prefix: str = "", above: frozenset[int] = frozenset()
) -> Iterator[tuple[str, Tensor]]:
    """(path, parameter) for every path, tied ones repeatedly; a module inside itself is entered once."""
    if id(module) in above:
        return
    for name, parameter in module._parameters.items():
        if parameter is not None:
            yield prefix + name, parameter
    wrapped = _WRAPPERS.get(type(module).__name__)
    for name, child in module._modules.items():
        if child is not None:
            inner = prefix if name == wrapped else f"{prefix}{name}."
            yield from parameters(child, inner, above | {id(module)})


def buffers(module: nn.Module, prefix: str = "", above: frozenset[int] = frozenset()) -> Iterator[tuple[str, Tensor]]:
    """(path, buffer) as for parameters."""
    if id(module) in above:
        return
    for name, buffer in module._buffers.items():
        if buffer is not None:
            yield prefix + name, buffer
    wrapped = _WRAPPERS.get(type(module).__name__)
    for name, child in module._modules.items():
        if child is not None:
            inner = prefix if name == wrapped else f"{prefix}{name}."
            yield from buffers(child, inner, above | {id(module)})


def modules(
    module: nn.Module, prefix: str = "", above: frozenset[int] = frozenset()
) -> Iterator[tuple[str, nn.Module]]:
    """(path, module) as for parameters; the outermost module's path is empty."""
    if id(module) in above:
        return
    yield prefix.removesuffix("."), module
    wrapped = _WRAPPERS.get(type(module).__name__)
    for name, child in module._modules.items():
        if child is not None:
            inner = prefix if name == wrapped else f"{prefix}{name}."
            yield from modules(child, inner, above | {id(module)})
