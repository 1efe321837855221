"""The `break`, `continue` and `return` statements that belong to one loop."""

from __future__ import annotations

import ast
from collections.abc import Collection

import attrs

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
_LOOPS = ast.For | ast.AsyncFor | ast.While


@attrs.define
class Jumps:
    """Jumps out of one iteration of a loop, in source order."""

    breaks: list[ast.Break] = attrs.field(factory=list)
    continues: list[ast.Continue] = attrs.field(factory=list)
    returns: list[ast.Return] = attrs.field(factory=list)


def jumps_of(body: list[ast.stmt], outlined: Collection[int] = ()) -> Jumps:
    """Jumps in a loop's body. Those of loops inside belong to them, except `return` and what their `else` says.

    Bodies of loops whose `id` is in `outlined` become functions themselves, so their `return` is theirs too.
    """
    found = Jumps()
    for statement in body:
        _collect(statement, found, True, outlined)
    return found


def _collect(node: ast.AST, found: Jumps, own: bool, outlined: Collection[int]) -> None:
    if isinstance(node, _FUNCTIONS):
        return
    if isinstance(node, ast.Return):
        found.returns.append(node)
    elif isinstance(node, ast.Break) and own:
        found.breaks.append(node)
    elif isinstance(node, ast.Continue) and own:
        found.continues.append(node)
    elif isinstance(node, _LOOPS):
        for child in node.body if id(node) not in outlined else ():
            _collect(child, found, False, outlined)
        for after in node.orelse:
            _collect(after, found, own, outlined)
    else:
        for part in ast.iter_child_nodes(node):
            _collect(part, found, own, outlined)
