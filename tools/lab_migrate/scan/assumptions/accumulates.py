"""Gradients of several backward passes make one step

There are five numerically different forms: divided by a fixed number, by the actual one, summed, the gradients divided
afterwards; what is left over at an epoch's end is stepped, dropped or carried over. Lightning's divides by a fixed
number and steps the rest.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.kinds import is_optimizer, receiver
from lab_migrate.scan.syntax import SourceFile, last_name

FAITHFUL = "stays in the step; a Lightning step is counted where the optimizer steps"
IDIOMATIC = "accumulate_grad_batches where the mean is over a fixed number, else manual optimization"
_WORDS = re.compile(
    r"accum|micro_?batch|micro_?step|grad_acc|gradient_acc|update_freq|iter_size|update_grad|virtual_batch",
    re.IGNORECASE,
)


def find(file: SourceFile) -> Iterator[Evidence]:
    """A loss divided by a number of micro-steps, a step under a modulo, a loop of micro-steps, and the usual names."""
    for node in file.every(ast.If):
        assert isinstance(node, ast.If)
        counts = any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod) for part in ast.walk(node.test))
        inside = [inner for statement in node.body for inner in ast.walk(statement)]
        # Where the backward pass is under the same condition, each of its gradients is used at once.
        whole = not _WORDS.search(ast.unparse(node.test)) and any(
            isinstance(inner, ast.Call) and last_name(inner.func) == "backward" for inner in inside
        )
        if (
            (counts or _WORDS.search(ast.unparse(node.test)))
            and not whole
            and any(_steps(file, inner) for inner in inside)
        ):
            yield file.evidence(node, "steps every n-th time")
    for node in (*file.every(ast.BinOp), *file.every(ast.AugAssign)):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            left, right = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
            if _WORDS.search(ast.unparse(right)) and "loss" in ast.unparse(left).lower():
                yield file.evidence(node, "loss divided by the number of micro-steps")
    for node in file.every(ast.For):
        assert isinstance(node, ast.For)
        if _WORDS.search(ast.unparse(node.iter)) and any(
            isinstance(inner, ast.Call) and last_name(inner.func) == "backward" for inner in ast.walk(node)
        ):
            yield file.evidence(node, "a loop of micro-steps")


def _steps(file: SourceFile, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) == "step" and (
        is_optimizer(file, receiver(node)) or "scaler" in receiver(node).lower()
    )  # fmt: skip
