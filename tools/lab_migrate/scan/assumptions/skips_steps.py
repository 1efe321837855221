"""Some rounds of the loop make no step

`continue` on a loss that is not finite or a batch that is empty, a step under a condition, an early `break`. To
Lightning `return None` from a step is something else (naive migration: hyper@7, param@9).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.syntax import last_name

FAITHFUL = "stays: `continue` returns from the step, `break` stops the training"
IDIOMATIC = "manual optimization"


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """`continue`, `break` and `return` that belong to the loop itself; a whole update under a modulo."""
    inner = {
        id(node)
        for other in loop.own
        if isinstance(other, ast.For | ast.While | ast.AsyncFor)
        for node in ast.walk(other)
        if isinstance(node, ast.Continue | ast.Break)
    }
    for node in loop.body(ast.Continue, ast.Break, ast.Return):
        if id(node) not in inner:
            yield loop.file.evidence(node, _condition(loop, node))
    for node in loop.body(ast.If):
        assert isinstance(node, ast.If)
        called = {last_name(part.func) for one in node.body for part in ast.walk(one) if isinstance(part, ast.Call)}
        rarely = any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod) for part in ast.walk(node.test))
        if rarely and {"backward", "step"} <= called:
            yield loop.file.evidence(node, "updates every n-th time")


def _condition(loop: LoopView, node: ast.AST) -> str:
    test = next((above.test for above in loop.file.parents(node) if isinstance(above, ast.If)), None)
    return f"if {ast.unparse(test)}"[:80] if test is not None else ""
