"""Statements that do nothing but tell gin of classes, one by one or in a loop; a class that leaves them may go."""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Any

import libcst as cst

from lab_bridge.config.sources.modules import dotted
from lab_bridge.config.sources.registered import DECORATORS, EXTERNAL

__all__ = ["registers", "without_registrations"]


def registers(statement: ast.stmt) -> list[str]:
    """The names of what it registers, and does nothing else with; none for any other statement."""
    match statement:
        case ast.For(target=ast.Name(id=name), iter=ast.Tuple(elts=found) | ast.List(elts=found), body=[one]):
            return [ast.unparse(part) for part in found] if _registered(one) == name and not statement.orelse else []
        case ast.Expr() | ast.Assign(targets=[ast.Name()]):
            name = _registered(statement)
            binds = not isinstance(statement, ast.Assign) or ast.unparse(statement.targets[0]) == name
            return [name] if name and binds else []
    return []


def without_registrations(text: str, names: Collection[str]) -> str:
    """A file's text, in which none of these names is registered by a statement at its top."""
    if "gin" not in text:
        return text
    module = cst.parse_module(text)
    kept: list[Any] = []
    for one in module.body:
        [statement] = ast.parse(cst.Module([one]).code).body[:1] or [ast.Pass()]
        found = registers(statement)
        left = [name for name in found if name not in names]
        if left == found:
            kept.append(one)
        elif left and isinstance(one, cst.For):
            kept.append(_of(one, left))
    return module.with_changes(body=kept).code


def _of(loop: cst.For, names: list[str]) -> cst.For:
    listed = cst.ensure_type(loop.iter, cst.Tuple) if isinstance(loop.iter, cst.Tuple) else loop.iter
    assert isinstance(listed, cst.Tuple | cst.List)
    elements = [one for one in listed.elements if cst.Module([]).code_for_node(one.value) in names]
    last = cst.MaybeSentinel.DEFAULT if isinstance(listed, cst.List) or len(elements) > 1 else elements[-1].comma
    elements[-1] = elements[-1].with_changes(comma=last)
    return loop.with_changes(iter=listed.with_changes(elements=elements))


def _registered(statement: ast.stmt) -> str:
    """`A` of `gin.configurable(A)`, whatever that is assigned to."""
    call = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
    if not isinstance(call, ast.Call) or not call.args or dotted(call.func) not in DECORATORS | EXTERNAL:
        return ""
    return dotted(call.args[0])
