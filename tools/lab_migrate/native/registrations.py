"""Statements that do nothing but tell gin of classes, one by one or in a loop; a class that leaves them may go."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import libcst as cst

from lab_bridge.config.sources.modules import dotted
from lab_bridge.config.sources.registered import DECORATORS, EXTERNAL

__all__ = ["registers", "told_to_gin", "without_registrations"]


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


def told_to_gin(statements: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """What loops go through that only tell gin of it, written there or in a list or dictionary of no other use."""
    names = Counter(node.id for one in statements for node in ast.walk(one) if isinstance(node, ast.Name))
    listed: set[str] = set()
    for loop in statements:
        if isinstance(loop, ast.For) and all(_tells_gin(one) for one in loop.body):
            yield loop.iter
            listed |= {node.id for node in ast.walk(loop.iter) if isinstance(node, ast.Name)}
    for one in statements:
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name) and one.targets[0].id in listed:
            # Its assignment and its loop.
            yield from [one.value] if names[one.targets[0].id] == 2 else []


def _tells_gin(statement: ast.stmt) -> bool:
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return any(dotted(call.func) in DECORATORS | EXTERNAL for call in calls)


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
