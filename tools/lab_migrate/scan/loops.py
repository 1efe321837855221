"""Training loops written out in a file: where backward and step stand inside one loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Loop

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOOPS = (ast.For, ast.While, ast.AsyncFor)


def training_loops(tree: ast.Module, path: str) -> list[Loop]:
    """Innermost loops that call both `….backward(…)` and `….step(…)`, in order of line."""
    return sorted(_inside(tree, path, "<module>"))


def _inside(node: ast.AST, path: str, function: str) -> Iterator[Loop]:
    for child in ast.iter_child_nodes(node):
        inner = child.name if isinstance(child, _FUNCTIONS) else function
        found = list(_inside(child, path, inner))
        if not found and isinstance(child, _LOOPS):
            backwards, steps = _calls(child, "backward"), _calls(child, "step")
            if backwards and steps:
                found = [Loop(path, child.lineno, function, backwards, steps)]
        yield from found


def _calls(loop: ast.AST, method: str) -> int:
    return sum(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method
        for node in ast.walk(loop)
    )
