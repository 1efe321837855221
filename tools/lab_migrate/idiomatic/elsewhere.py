"""Whether code around the epochs may run a module that trains in them: on which device it finds it then matters.

Lightning moves the LightningModule to its device when training begins, and back to the CPU when it ends.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import Nest

#: Methods of a module that work on any device, and functions that only look at what they are given, or wrap it.
#: `apply` is none: `model.apply(init_weights)` draws from the generator of the device that the weights are on.
_METHODS = frozenset({
    "add_module", "buffers", "children", "cpu", "cuda", "double", "eval", "float", "half", "load_state_dict",
    "modules", "named_buffers", "named_children", "named_modules", "named_parameters", "parameters", "register_buffer",
    "register_forward_hook", "requires_grad_", "share_memory", "state_dict", "to", "train", "zero_grad",
})  # fmt: skip
_FUNCTIONS = frozenset({
    "DataParallel", "DistributedDataParallel", "compile", "convert_sync_batchnorm", "deepcopy", "getattr", "hasattr",
    "id", "isinstance", "len", "print", "repr", "setattr", "str", "type",
})  # fmt: skip


def runs_before(name: str, nest: Nest, since: int = 0) -> bool:
    """Whether the base frame may run the module that it knows by `name` before the epochs, in lines after `since`."""
    return any(since < getattr(node, "lineno", 0) < nest.epochs.lineno for node in _runs(name, nest))


def runs_after(name: str, nest: Nest) -> bool:
    """Whether the base frame, or a function that shares the name with it, may run the module after the epochs."""
    end = nest.epochs.end_lineno or 0
    if nest.base.is_script and not any(getattr(node, "lineno", 0) > end for node in nest.base.function.own):
        return False
    return any(getattr(node, "lineno", 0) > end for node in _runs(name, nest)) or _is_shared(name, nest)


def _runs(name: str, nest: Nest) -> Iterator[ast.AST]:
    """Mentions outside the epochs that are not known to be harmless."""
    inside = {id(node) for node in ast.walk(nest.epochs)}
    parents = _parents(nest.base)
    for node in nest.base.function.own:
        if id(node) in inside or not isinstance(node, ast.Name | ast.Attribute) or dotted(node) != name:
            continue
        if isinstance(node.ctx, ast.Load) and not _is_harmless(node, parents):
            yield node


def _parents(frame: Frame) -> dict[int, ast.AST]:
    return {id(child): node for node in ast.walk(frame.function.node) for child in ast.iter_child_nodes(node)}


def _is_harmless(node: ast.expr, parents: dict[int, ast.AST]) -> bool:
    parent = parents.get(id(node))
    if isinstance(parent, ast.Attribute):
        last: ast.AST = parent
        while isinstance(above := parents.get(id(last)), ast.Attribute):
            last = above
        assert isinstance(last, ast.Attribute)
        called = isinstance(above, ast.Call) and above.func is last
        return not called or last.attr in _METHODS
    if isinstance(parent, ast.Call) and parent.func is not node:
        return dotted(parent.func).rpartition(".")[2] in _FUNCTIONS
    return False


def _is_shared(name: str, nest: Nest) -> bool:
    """Whether another function of the file reads a script's global name, or another method an attribute."""
    if not nest.base.is_script and "." not in name:
        return False
    taken = {id(frame.function) for frame in nest.frames}
    return any(
        isinstance(node, ast.Name | ast.Attribute) and dotted(node) == name and isinstance(node.ctx, ast.Load)
        for function in nest.base.module.symbols.functions
        if id(function) not in taken and function.name != "__init__" and not isinstance(function.node, ast.Module)
        if name.partition(".")[0] not in function.parameters or "." in name
        for node in function.own
    )
