"""A loop in a class body is not outlined

What a class body assigns are the class's attributes; no function can assign them. Nothing is changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.symbols import Function
from lab_migrate.convert.rule import Refusal

CODE = "LM222"
LEVELS = {"L1", "L2"}


def refuse(function: Function, loop: ast.stmt) -> Iterator[Refusal]:
    """A loop that is no function's own code."""
    if not any(node is loop for node in function.own):
        yield Refusal(
            loop, "it stands in a class body, whose names no function can assign",
            "move the loop into a method or to the module's top level, and convert again",
        )  # fmt: skip
