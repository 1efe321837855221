"""The loader never ends

A generator that starts over, `itertools.cycle`, a sampler of a billion items: there is no epoch, and no length.
`cycle` besides keeps the first round of batches for ever.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import FUNCTIONS, SourceFile, last_name

FAITHFUL = "kept; Lightning counts steps, over a loader of tokens"
IDIOMATIC = "kept, with max_steps and no epochs"
_MANY = 10**7


def find(file: SourceFile) -> Iterator[Evidence]:
    """`while True` around a `for` that yields, `cycle`, a huge `num_samples`, a restart on StopIteration."""
    for node in file.every(ast.While):
        assert isinstance(node, ast.While)
        if isinstance(node.test, ast.Constant) and node.test.value and _yields(node):
            yield file.evidence(node, "starts over")
    for call in file.calls("cycle"):
        if file.name(call.func) in ("itertools.cycle", "cycle") or file.name(call.func).endswith(".cycle"):
            yield file.evidence(call, "cycle")
    for name in list(file.called()):
        if name.endswith("Sampler"):
            for call in file.calls(name):
                if any(keyword.arg == "num_samples" and _huge(keyword.value) for keyword in call.keywords):
                    yield file.evidence(call, "a sampler without end")
    for handler in file.every(ast.ExceptHandler):
        assert isinstance(handler, ast.ExceptHandler)
        if handler.type is not None and last_name(handler.type) != "StopIteration":
            continue
        restarts = any(
            isinstance(inner, ast.Call) and last_name(inner.func) == "iter" and len(inner.args) == 1
            for statement in handler.body
            for inner in ast.walk(statement)
        )
        if restarts:
            yield file.evidence(handler, "started over when it ends")


def _yields(loop: ast.While) -> bool:
    """Whether it yields, and never leaves: a generator of chunks breaks at the end."""
    inner = [node for statement in loop.body for node in ast.walk(statement)]
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in inner) and not any(
        isinstance(node, (ast.Break, ast.Return, *FUNCTIONS)) for node in inner
    )


def _huge(node: ast.expr) -> bool:
    """Whether an expression is a huge number as written: `10**10`, `int(1e10)`, `1_000_000_000`."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and node.value >= _MANY
    if isinstance(node, ast.Call) and last_name(node.func) == "int" and node.args:
        return _huge(node.args[0])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        base, exponent = node.left, node.right
        return (
            isinstance(base, ast.Constant) and base.value == 10
            and isinstance(exponent, ast.Constant) and isinstance(exponent.value, int) and exponent.value >= 7
        )  # fmt: skip
    return False
