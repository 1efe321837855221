"""Batches are pulled with next(), not by the loop

The loop decides when a batch is fetched, and so when the loader draws from the generators. Lightning fetches one
ahead (naive migration: rng@0, batch@1).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.syntax import last_name

FAITHFUL = "stays in the step; Lightning counts over a loader of tokens"
IDIOMATIC = "an iterable of the batches, without prefetching"


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """`next(it)`, `it.next()`, `next_batch()` in the body or in what it calls."""
    for file, node in loop.everywhere(ast.Call):
        assert isinstance(node, ast.Call)
        name = last_name(node.func)
        pulls = name == "next" and len(node.args) <= 2 and not node.keywords and not _of_parameters(node)
        if pulls or name in ("__next__", "next_batch", "get_next_batch"):
            yield file.evidence(node)


def _of_parameters(call: ast.Call) -> bool:
    """`next(model.parameters())`, `next(folder.glob(…))`, `next(x for x in …)`: no batch."""
    inner = call.args[0] if call.args else None
    if isinstance(inner, ast.Call):
        return last_name(inner.func) != "iter" or _of_parameters(inner)
    return isinstance(inner, ast.GeneratorExp)
