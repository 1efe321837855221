"""What the epochs change: an expression that reads it has no one value that the Trainer could be given."""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import own_nodes
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.mentions import flow_of
from lab_migrate.idiomatic.nest import Nest

__all__ = ["changed_elsewhere", "changing_in", "stays"]


def changing_in(nest: Nest, graph: CallGraph) -> frozenset[str]:
    """Names of the base frame that the epochs, or functions, give other values, and attributes (`.step`) of any object.

    Attributes are told by their names alone, wherever in the project code assigns one, but where objects are made and
    in what the base frame does before its epochs.
    """
    found = {nest.base.canonical(nest.epoch), *flow_of(nest.items).stored}
    for loop in nest.loops:
        found |= {loop.frame.canonical(node) for node in own_nodes([loop.node]) if isinstance(node, ast.Name)
                  and not isinstance(node.ctx, ast.Load)}  # fmt: skip
    for frame in nest.frames:
        body: list[ast.stmt] = [nest.epochs] if frame is nest.base else frame.function.body
        found |= {f".{node.attr}" for node in own_nodes(body) if isinstance(node, ast.Attribute)
                  and not isinstance(node.ctx, ast.Load)}  # fmt: skip
    return frozenset(found - {""}) | changed_elsewhere(nest, graph)


def changed_elsewhere(nest: Nest, graph: CallGraph) -> frozenset[str]:
    """Those that code which stays where it is gives other values: global names, those of closures, and attributes."""
    found: set[str] = set()
    moved = [frame.function for frame in nest.frames]
    for module in graph.project.modules.values():
        for function in module.symbols.functions:
            for node in function.own:
                if isinstance(node, ast.Global | ast.Nonlocal):
                    found |= set(node.names)
                elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                    is_made = function.name in ("__init__", "<module>") or any(function is one for one in moved)
                    found |= set() if is_made else {f".{node.attr}"}
    return frozenset(found)


def stays(node: ast.expr, loop: Batches) -> bool:
    """Whether an expression of a batches' loop has one value in all epochs, and the base frame can say it."""
    text = loop.frame.in_base(node)
    if not text:
        return False
    return not any(
        (isinstance(one, ast.Name) and one.id in loop.changing)
        or (isinstance(one, ast.Attribute) and f".{one.attr}" in loop.changing)
        or isinstance(one, ast.Call | ast.Subscript | ast.NamedExpr | ast.Await)
        for one in ast.walk(ast.parse(text, mode="eval"))
    )
