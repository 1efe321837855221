"""A star import in a loop's body is not outlined

It assigns names that cannot be told without running it, and Python allows it in no function. Nothing is changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.symbols import Function, own_nodes
from lab_migrate.convert.rule import Refusal

CODE = "LM225"
LEVELS = {"L1", "L2"}


def refuse(function: Function, loop: ast.stmt) -> Iterator[Refusal]:
    """Each star import in the body."""
    for node in own_nodes(getattr(loop, "body", [])):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield Refusal(
                node, "a star import in its body assigns names that cannot be told",
                "import by name, above the loop, and convert again",
            )  # fmt: skip
