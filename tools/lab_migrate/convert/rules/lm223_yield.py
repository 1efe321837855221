"""A loop that yields is not outlined

A generator's consumer decides when, and whether, the next iteration runs; as Lightning's loop it would run by itself.
Nothing is changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.symbols import Function, own_nodes
from lab_migrate.convert.rule import Refusal

CODE = "LM223"
LEVELS = {"L1", "L2"}


def refuse(function: Function, loop: ast.stmt) -> Iterator[Refusal]:
    """Each `yield` in the body."""
    for node in own_nodes(getattr(loop, "body", [])):
        if isinstance(node, ast.Yield | ast.YieldFrom):
            yield Refusal(
                node, "its body yields, so whoever iterates over this generator drives it",
                "call what the consumer does from the body instead of yielding, and convert again",
            )  # fmt: skip
