"""When a builder's code makes what nobody gave it: `gradients or Gradients()`, and the like."""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = ["guarded"]


def guarded(node: ast.BoolOp | ast.IfExp) -> Iterator[tuple[ast.Call, tuple[str, str]]]:
    """The calls in an expression that are made only as a parameter is; the parameter, and what it is then.

    `absent`: left out or None. `given`: neither. `plain`: no object of the class that is made.
    """
    match node:
        case ast.BoolOp(op=ast.Or(), values=[ast.Name(id=name), *rest]):
            yield from ((call, (name, "absent")) for call in rest if isinstance(call, ast.Call))
        case ast.IfExp(
            test=ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[ast.Constant(value=None)]),
            body=body,
            orelse=orelse,
        ):
            absent, given = (body, orelse) if isinstance(op, ast.Is) else (orelse, body)
            if isinstance(absent, ast.Call):
                yield absent, (name, "absent")
            if isinstance(given, ast.Call):
                yield given, (name, "given")
        case ast.IfExp(
            test=ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=name), _]), orelse=ast.Call() as call
        ):
            yield call, (name, "plain")
