"""A body that reads or runs code by its scope is not outlined

`exec`, `eval` and `locals()` see the names of the scope that they are called in. In a function of its own the body has
another scope, and what they would find or assign cannot be told without running it. A function of the program's own
with such a name (`eval(model, loader)`) is called as ever. `except UnboundLocalError` waits for a local of the function
without a value; as the body's, that is a plain NameError. Nothing is changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.definitions import is_builtin
from lab_migrate.analysis.symbols import Function, own_nodes
from lab_migrate.convert.rule import Refusal

CODE = "LM224"
LEVELS = {"L1", "L2"}


def refuse(function: Function, loop: ast.stmt) -> Iterator[Refusal]:
    """Each such call in the body, each such handler in the function."""
    for node in own_nodes(function.body):
        if isinstance(node, ast.ExceptHandler) and node.type and "UnboundLocalError" in ast.unparse(node.type):
            yield Refusal(
                node, "UnboundLocalError is raised for locals of a function, and some would be no locals any more",
                "catch NameError, of which it is a kind, and convert again",
            )  # fmt: skip
    for node in own_nodes(getattr(loop, "body", [])):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if not is_builtin(function, node.func.id):
            continue  # many a file has an `eval` of its own
        if node.func.id in ("exec", "eval") or (node.func.id in ("locals", "vars", "dir") and not node.args):
            yield Refusal(
                node, f"{node.func.id}() sees names by the scope that it is called in, which would be another",
                "name the variables that it needs, and convert again",
            )  # fmt: skip
