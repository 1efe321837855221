"""Where a script has Lab's trainer: by which names, and where it would be lost from sight."""

from __future__ import annotations

import ast
from collections.abc import Sequence

__all__ = ["trainer_in"]


def trainer_in(tree: ast.Module) -> tuple[set[str], Sequence[tuple[ast.expr, str]]]:
    """The names that hold it, and the places where it goes elsewhere: into a call, a list, another object.

    A function of the script's that returns it is followed.
    """
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
    makers, names = {"Trainer"}, set[str]()
    while True:
        held = [node for node in ast.walk(tree) if _is_held(node, makers, names)]
        more = {one.name for one in functions for node in held if _is_returned(node, one, parents)}
        found = {target for node in held for target in _targets(parents[node], node)}
        if more <= makers and found <= names:
            break
        makers, names = makers | more, names | found
    lost = [(node, ast.unparse(parents[node])) for node in held if not _stays(node, parents[node])]
    return names, [(node, what) for node, what in lost if isinstance(node, ast.expr)]


def _is_held(node: ast.AST, makers: set[str], names: set[str]) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr="Trainer" as name)):
            return name in makers
        case ast.Name(id=name, ctx=ast.Load()):
            return name in names
    return False


def _is_returned(node: ast.AST, function: ast.FunctionDef, parents: dict[ast.AST, ast.AST]) -> bool:
    return isinstance(parents[node], ast.Return) and node in ast.walk(function)


def _targets(statement: ast.AST, node: ast.AST) -> list[str]:
    match statement:
        case ast.Assign(targets=targets, value=value) if value is node:
            return [one.id for one in targets if isinstance(one, ast.Name)]
        case (
            ast.AnnAssign(target=ast.Name(id=name), value=value) | ast.NamedExpr(target=ast.Name(id=name), value=value)
        ):
            return [name] if value is node else []
    return []


def _stays(node: ast.AST, around: ast.AST) -> bool:
    """It is asked for something, given a name, returned, or made for nothing."""
    match around:
        case ast.Attribute() | ast.Return() | ast.Expr():
            return True
        case ast.Assign(targets=targets):
            return all(isinstance(one, ast.Name) for one in targets)
        case ast.AnnAssign(target=ast.Name()) | ast.NamedExpr():
            return True
    return False
