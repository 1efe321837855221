"""Parameters are updated by hand, without an optimizer

There is nothing that Lightning could step, save or restore; such a loop is outside what can be converted.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.events import updates_by_hand
from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "refused"
HAND = "put the update into a torch.optim.Optimizer (torch.optim.SGD does p.add_(p.grad, alpha=-lr)), then convert"


def find(file: SourceFile) -> Iterator[Evidence]:
    """Updates from `.grad` outside any class, since an optimizer's own are its business."""
    calls = list(file.calls("backward"))
    if not calls:
        return
    for node in updates_by_hand([*file.every(ast.Call), *file.every(ast.AugAssign)]):
        if file.class_of(node) is None and not _changes_gradient(node) and _trains(file, node, calls):
            yield file.evidence(node)


def _changes_gradient(node: ast.Call | ast.AugAssign) -> bool:
    """`q.grad.add_(p.grad)` changes a gradient, no parameter."""
    if isinstance(node, ast.AugAssign):
        return ".grad" in ast.unparse(node.target)
    return isinstance(node.func, ast.Attribute) and ".grad" in ast.unparse(node.func.value)


def _trains(file: SourceFile, node: ast.AST, backwards: list[ast.Call]) -> bool:
    """Whether the function that updates also calls backward: a helper on gradients may serve anything."""
    home: ast.AST = file.function(node) or file.tree
    inside = set(ast.walk(home))
    return any(call in inside for call in backwards)
