"""Loops whose iterations hand on objects that no checkpoint holds: a teacher that was the last iteration's student.

A resumed program passes iterations over, and would be without them. Where such a loop stays the program's own, it makes
them again. Numbers and texts are handed on by each checkpoint.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.calls import CallGraph
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.outline.carried import read_first

__all__ = ["hands_objects_on"]

#: How far calls are followed in search of copies of objects.
DEPTH = 3
_NUMBERS = frozenset(["abs", "bool", "float", "int", "item", "len", "max", "min", "round", "str", "sum", "time"])
_ORDERS = ast.Lt | ast.LtE | ast.Gt | ast.GtE


def hands_objects_on(function: Function, loop: ast.For | ast.While, graph: CallGraph) -> bool:
    """Whether an iteration may leave something to the next that is no number: by a name, an attribute, or a copy."""
    body = list(own_nodes(loop.body))
    numbers = {dotted(side) for node in body for side in _ordered(node)}
    if isinstance(loop, ast.For):
        numbers |= names_in([loop.target]).assigned
    read = read_first(loop)
    for node in body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        kept = [one for one in targets if isinstance(one, ast.Attribute) or names_in([one]).assigned & read]
        if any(dotted(one) not in numbers for one in kept) and not _is_number(node.value, numbers):
            return True
    return any(_copies(node) for node in _reached(function, body, graph, DEPTH, set()))


def _ordered(node: ast.AST) -> list[ast.expr]:
    """What a comparison takes for numbers."""
    if isinstance(node, ast.Compare) and any(isinstance(operator, _ORDERS) for operator in node.ops):
        return [node.left, *node.comparators]
    return []


def _is_number(value: ast.expr, numbers: set[str]) -> bool:
    if isinstance(value, ast.Constant | ast.JoinedStr | ast.Compare):
        return True
    if isinstance(value, ast.Name | ast.Attribute):
        return dotted(value) in numbers
    if isinstance(value, ast.Call):
        return dotted(value.func).rpartition(".")[2] in _NUMBERS or _is_item(value.func)
    if isinstance(value, ast.BinOp | ast.BoolOp | ast.UnaryOp | ast.IfExp | ast.Tuple | ast.List | ast.Dict):
        return all(_is_number(part, numbers) for part in ast.iter_child_nodes(value) if isinstance(part, ast.expr))
    return False


def _is_item(func: ast.expr) -> bool:
    return isinstance(func, ast.Attribute) and func.attr in _NUMBERS


def _reached(
    function: Function, nodes: list[ast.AST], graph: CallGraph, depth: int, seen: set[int]
) -> Iterator[ast.AST]:
    """Some code, and that of the project's functions which it calls."""
    yield from nodes
    for call in graph.calls_in(function, nodes) if depth else ():
        for target in call.targets:
            if id(target) not in seen:
                seen.add(id(target))
                yield from _reached(target, list(target.own), graph, depth - 1, seen)


def _copies(node: ast.AST) -> bool:
    """A copy of an object; one of weights is a dictionary of tensors, which a checkpoint holds."""
    if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] != "deepcopy":
        return False
    return not any("state_dict" in ast.unparse(one) for one in node.args)
