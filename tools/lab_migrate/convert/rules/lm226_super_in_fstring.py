"""super() inside an f-string is not outlined

`super()` finds its class by the function it stands in, so outlining names the class for it; before Python 3.12 the
place of code inside an f-string cannot be told. Nothing is changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.symbols import Function, own_nodes
from lab_migrate.convert.rule import Refusal

CODE = "LM226"
LEVELS = {"L1", "L2"}


def refuse(function: Function, loop: ast.stmt) -> Iterator[Refusal]:
    """Each f-string in the body with a bare `super()`."""
    for node in own_nodes(getattr(loop, "body", [])):
        if isinstance(node, ast.JoinedStr) and any(
            isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "super"
            for inner in ast.walk(node)
        ):
            yield Refusal(
                node, "super() without arguments inside an f-string cannot be rewritten safely",
                "call super() outside the f-string, and convert again",
            )  # fmt: skip
