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


def names_a_number(value: ast.expr) -> bool:
    """Whether a device that is made so may be another GPU than the first."""
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _NUMBERED.search(node.value):
            return True
        if isinstance(node, ast.Call) and dotted(node.func).endswith("device") and len(node.args) == 2:
            return True
    return False


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
