"""Evaluation runs between training steps

It draws from the generators and switches modules between train and eval: where it runs decides on every later step.
Lightning's validation draws elsewhere (naive migration: rng@5), and its sanity check runs before the first step.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.syntax import last_name

FAITHFUL = "stays in the step, in its place"
IDIOMATIC = "a validation loop, with the generators restored after it"


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """Calls of `.eval()`, or of `no_grad` around forward passes, in the body or in what it calls."""
    evaluates = {
        id(reached.function.node)
        for reached in loop.reached
        if any(_is_eval(node) for node in reached.function.own)
        and not any(isinstance(node, ast.Call) and last_name(node.func) == "backward" for node in reached.function.own)
    }
    direct = [node for node in loop.own if _is_eval(node)]
    yield from (loop.file.evidence(node) for node in direct)
    for call in loop.graph.calls_of(loop.loop.owner):
        if any(node is call.node for node in loop.own) and any(id(target.node) in evaluates for target in call.targets):
            yield loop.file.evidence(call.node)
    if not direct:
        for reached in loop.reached:
            for call in loop.graph.calls_of(reached.function):
                if any(id(target.node) in evaluates for target in call.targets):
                    yield reached.file.evidence(call.node)


def _is_eval(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "eval"
        and not node.args
    )
