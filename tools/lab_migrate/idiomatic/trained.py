"""What an optimizer trains by name, besides what a model's `parameters()` gives.

optimizer = SGD([*model.parameters(), log_sigma], lr=0.1)
optimizer.add_param_group({"params": head.parameters()})
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.makings import makings_of
from lab_migrate.idiomatic.nest import Nest

__all__ = ["added_models", "adds_groups", "trained"]


def trained(nest: Nest, optimizers: Iterable[str], graph: CallGraph) -> set[str]:
    """Names of the base frame that the calls which make these optimizers, or add groups to one, are given."""
    made = [making.call for name in optimizers for making in makings_of(name, nest, graph)]
    given = [one for call in made for one in _params(call)]
    given += [call.args[0] for call in _adding(nest.base) if call.args]
    return {name for one in given for name in _names(one)} - {""}


def added_models(base: Frame) -> list[str]:
    """Modules whose parameters are added to an optimizer after it was made."""
    return [
        dotted(node.func.value)
        for call in _adding(base)
        for node in ast.walk(call)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "parameters"
        if dotted(node.func.value)
    ]


def adds_groups(base: Frame) -> bool:
    """Whether an optimizer is given more after it was made."""
    return any(True for _ in _adding(base))


def _adding(base: Frame) -> Iterator[ast.Call]:
    cls = base.function.cls
    methods = cls.methods.values() if cls is not None else ()
    for owner in dict.fromkeys([base.function, base.module.symbols.top, *methods]):
        for node in owner.own:
            func = node.func if isinstance(node, ast.Call) else None
            if isinstance(node, ast.Call) and isinstance(func, ast.Attribute) and func.attr == "add_param_group":
                yield node


def _params(call: ast.Call) -> list[ast.expr]:
    return [*call.args[:1], *(word.value for word in call.keywords if word.arg == "params")]


def _names(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Name | ast.Attribute):
        yield dotted(node)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "params":
                yield from _names(value)
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        for one in node.elts:
            yield from _names(one)
    elif isinstance(node, ast.Starred):
        yield from _names(node.value)
    elif isinstance(node, ast.BinOp):
        yield from _names(node.left)
        yield from _names(node.right)
    elif isinstance(node, ast.Call):
        owner = node.func.value if isinstance(node.func, ast.Attribute) and not node.args else None
        for one in [*([owner] if owner is not None else []), *node.args]:
            yield from _names(one)
