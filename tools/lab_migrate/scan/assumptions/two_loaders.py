"""The loop draws from several loaders at once

`zip` ends with the shortest; Lightning's CombinedLoader cycles the others by default (max_size_cycle).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.syntax import last_name, raw_name

FAITHFUL = "stays in the step; Lightning counts over a loader of tokens"
IDIOMATIC = "CombinedLoader, mode='min_size' for zip"


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """`zip` or `chain` over loaders in the loop's head; `next` on two different iterators in the body."""
    if isinstance(loop.loop.node, ast.For | ast.AsyncFor):
        for node in ast.walk(loop.loop.node.iter):
            if isinstance(node, ast.Call) and last_name(node.func) == "zip":
                names = [ast.unparse(argument).lower() for argument in node.args]
                names = [name for name in names if any(word in name for word in ("load", "iter", "data"))]
                if len(names) > 1:
                    yield loop.file.evidence(node)
    pulled: dict[str, ast.AST] = {}
    for node in loop.body(ast.Call):
        assert isinstance(node, ast.Call)
        name = raw_name(node.args[0]) if last_name(node.func) == "next" and node.args else ""
        if not name and isinstance(node.func, ast.Attribute) and node.func.attr in ("next", "__next__"):
            name = raw_name(node.func.value)
        if name:
            pulled.setdefault(name, node)
    if len(pulled) > 1:
        yield from (loop.file.evidence(node) for node in pulled.values())
