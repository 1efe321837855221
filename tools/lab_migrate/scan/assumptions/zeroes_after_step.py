"""Gradients are zeroed after the step, not before backward

The first step then sees gradients that were there before the loop (pre-set ones, or those of an evaluation);
Lightning zeroes before backward.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import FUNCTIONS, LOOPS, SourceFile, last_name

FAITHFUL = "stays in the step"
IDIOMATIC = "the same unless gradients are there before the first step, which verification shows"


def find(file: SourceFile) -> Iterator[Evidence]:
    """In a function or loop: a `zero_grad` that follows a step, no backward between, none before backward."""
    for body in (*file.every(*LOOPS), *file.every(*FUNCTIONS)):
        order = [call for call in _calls(body) if last_name(call.func) in ("backward", "step", "zero_grad", "update")]
        if isinstance(body, LOOPS) and not any(last_name(call.func) == "backward" for call in order):
            continue
        names = [last_name(call.func) for call in order]
        for number, call in enumerate(order):
            before = names[:number]
            if names[number] == "zero_grad" and "step" in before and "backward" not in names[number:]:
                if "zero_grad" not in before:
                    yield file.evidence(call)
                break


def _calls(body: ast.AST) -> list[ast.Call]:
    """Calls in the order in which they run, without those of functions and classes defined in it."""
    found: list[ast.Call] = []
    pending = list(ast.iter_child_nodes(body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found.append(node)
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            pending += ast.iter_child_nodes(node)
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))
