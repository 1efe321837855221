"""State lives at module level

A loop in a script's own body, or `global` in what it calls: names that any function may read or write.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView

FAITHFUL = "stays: the outlined step declares the names global"
IDIOMATIC = "becomes attributes of the module"


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """The loop itself where it stands at module level; `global` statements in what it reaches."""
    if loop.loop.function == "<module>":
        yield loop.file.evidence(loop.loop.node)
    owner = loop.loop.owner
    if loop.loop.function != "<module>":
        yield from (loop.file.evidence(node) for node in owner.own if isinstance(node, ast.Global))
    for reached in loop.reached:
        yield from (reached.file.evidence(node) for node in reached.function.own if isinstance(node, ast.Global))
