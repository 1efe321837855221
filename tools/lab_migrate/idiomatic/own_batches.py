"""Batches of a class of the project's own: Lightning would move them by a method of theirs, or make new ones."""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function
from lab_migrate.idiomatic.makings import makings_of
from lab_migrate.idiomatic.nest import Nest


def own_batches(nest: Nest, graph: CallGraph) -> bool:
    """Whether a loader's `collate_fn` returns an instance of a class of the project."""
    for loop in (nest.train, nest.validation):
        if loop is None:
            continue
        for made in (one for loader in loop.entries for one in makings_of(loader, nest, graph)):
            collate = (made.words() or {}).get("collate_fn")
            targets = graph.targets(made.owner, collate) if isinstance(collate, ast.Name | ast.Attribute) else []
            if any(_returns_own(target, graph) for target in targets):
                return True
    return False


def _returns_own(function: Function, graph: CallGraph) -> bool:
    values = [node.value for node in function.own if isinstance(node, ast.Return) and node.value is not None]
    if isinstance(function.node, ast.Lambda):
        values = [function.node.body]
    return any(graph.types(function, value) for value in values)
