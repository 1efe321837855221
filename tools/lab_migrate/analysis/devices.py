"""How a program chooses its device: conditions around its moves to the GPU, and the GPU's number."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lab_migrate.analysis.symbols import dotted

#: A number behind `cuda:` that is not always 0: one that is written, or filled in.
_NUMBERED = re.compile(r"cuda:($|[1-9{%])")


def is_cuda(node: ast.AST) -> bool:
    """Whether a node is `something.cuda(…)`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cuda"


def may_have_a_number(value: ast.expr) -> bool:
    """Whether a device that is made so may be another GPU than the first: its text says so, or comes from elsewhere."""
    match value:
        case ast.Constant(value=str(text)):
            return _NUMBERED.search(text) is not None
        case ast.IfExp(body=body, orelse=orelse):
            return may_have_a_number(body) or may_have_a_number(orelse)
        case ast.Call(func=func, args=[ast.expr() as kind], keywords=[]) if dotted(func).endswith("device"):
            return may_have_a_number(kind)
        case ast.Call(func=func, args=[], keywords=[]):
            return not dotted(func).endswith(("current_accelerator", "get_default_device"))
    return True


def tests_around(scope: ast.AST, node: ast.AST) -> Iterator[tuple[ast.expr, bool]]:
    """The tests of the `if`s around a node of a scope, outermost first, and whether they hold there."""
    parents = {id(child): one for one in ast.walk(scope) for child in ast.iter_child_nodes(one)}
    found: list[tuple[ast.expr, bool]] = []
    while (parent := parents.get(id(node))) is not None and parent is not scope:
        if isinstance(parent, ast.If) and node is not parent.test:
            found.append((parent.test, any(node is one for one in parent.body)))
        elif isinstance(parent, ast.IfExp) and node is not parent.test:
            found.append((parent.test, node is parent.body))
        node = parent
    return reversed(found)


def is_repeatable(test: ast.expr) -> bool:
    """Whether a condition can as well be asked again, later."""
    calls = [node for node in ast.walk(test) if isinstance(node, ast.Call)]
    allowed = (
        ast.Name, ast.Attribute, ast.Constant, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Call, ast.Subscript,
        ast.boolop, ast.unaryop, ast.cmpop, ast.expr_context,
    )  # fmt: skip
    return all(dotted(call.func).startswith("torch.cuda.") for call in calls) and all(
        isinstance(node, allowed) for node in ast.walk(test)
    )


def condition(test: ast.expr, text: str, *, holds: bool) -> str:
    """The text of a test, ready to stand before `and` or `else`; its opposite where it does not hold."""
    if not holds:
        return f"not {text}" if isinstance(test, ast.Name | ast.Attribute | ast.Call) else f"not ({text})"
    return text if isinstance(test, ast.Name | ast.Attribute | ast.Call) else f"({text})"
