"""The modules, parameters and buffers inside a module, with their paths.

Wrappers that only pass calls through (DDP's `module.`, compile's `_orig_mod.`, Fabric's `_forward_module.`) add no part
to a path.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

__all__ = ["buffers", "is_wrapper", "modules", "parameters"]

_WRAPPERS = {
    "AveragedModel": "module",
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "OptimizedModule": "_orig_mod",
    "FullyShardedDataParallel": "_fsdp_wrapped_module",
    "_FabricModule": "_forward_module",
}


def is_wrapper(module: nn.Module) -> bool:
    """Whether the module only passes calls through to the one it wraps."""
    return type(module).__name__ in _WRAPPERS


def parameters(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(path, parameter) for every path, tied ones repeatedly; a module inside itself is entered once."""
    for path, inner in modules(module):
        for name, parameter in inner._parameters.items():
            if parameter is not None:
                yield f"{path}.{name}" if path else name, parameter


def buffers(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(path, buffer) as for parameters."""
    for path, inner in modules(module):
        for name, buffer in inner._buffers.items():
            if buffer is not None:
                yield f"{path}.{name}" if path else name, buffer


def modules(
    module: nn.Module, prefix: str = "", above: frozenset[int] = frozenset()
) -> Iterator[tuple[str, nn.Module]]:
    """(path, module) as for parameters; the outermost module's path is empty."""
    if id(module) in above:
        return
    yield prefix.removesuffix("."), module
    wrapped = _WRAPPERS.get(type(module).__name__)
    passed = module._modules.get(wrapped) if wrapped and len(module._modules) > 1 else None
    # Fabric's wrapper holds the module it was given besides the one it calls, which has it inside.
    again = {id(inner) for _, inner in modules(passed)} if passed is not None else frozenset()
    for name, child in module._modules.items():
        if child is not None and (name == wrapped or id(child) not in again):
            inner = prefix if name == wrapped else f"{prefix}{name}."
            yield from modules(child, inner, above | {id(module)})
