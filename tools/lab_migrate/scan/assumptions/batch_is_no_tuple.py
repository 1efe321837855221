"""A batch is no tuple of tensors

A dictionary, a list, an object with attributes, or nested: Lightning moves only what it knows how to move, and reads
a batch size out of it for its logs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView

FAITHFUL = "stays: no batch passes through Lightning"
IDIOMATIC = "transfer_batch_to_device is overridden where Lightning does not know the type"
_COUNTERS = ("i", "idx", "index", "it", "iteration", "step", "batch_idx", "batch_i", "n", "k", "bi", "i_batch", "_")
_METHODS = (
    "to", "cuda", "size", "shape", "keys", "items", "values", "get", "pop", "update", "float", "long",
    "unsqueeze", "view", "requires_grad_", "requires_grad", "detach", "device", "dtype", "dim", "ndim", "numel",
    "reshape",
)  # fmt: skip


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """The first use of the loop's own variable by a key or an attribute; targets that are nested."""
    if not isinstance(loop.loop.node, ast.For | ast.AsyncFor):
        return
    target = loop.loop.node.target
    parts = list(target.elts) if isinstance(target, ast.Tuple | ast.List) else [target]
    if len(parts) == 2 and (_is_enumerate(loop.loop.node.iter) or _counts(parts[0])):
        parts = [parts[1]]
        if isinstance(parts[0], ast.Tuple | ast.List):
            parts = list(parts[0].elts)
    if any(isinstance(part, ast.Tuple | ast.List) for part in parts):
        yield loop.file.evidence(target, "nested")
    if len(parts) != 1 or not isinstance(parts[0], ast.Name):
        return
    name = parts[0].id
    for node in loop.own:
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == name:
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                yield loop.file.evidence(node, "a dictionary")
                return
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
            note = "a dictionary" if node.attr in ("items", "keys", "values", "get", "pop", "update") else "an object"
            if note == "a dictionary" or node.attr not in _METHODS:
                yield loop.file.evidence(node, note)
                return


def _counts(node: ast.expr) -> bool:
    """`for i, (x, y) in bar`: an enumerate that was wrapped before."""
    return isinstance(node, ast.Name) and node.id in _COUNTERS


def _is_enumerate(node: ast.expr) -> bool:
    while isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id == "enumerate":
            return True
        if not node.args:
            return False
        node = node.args[0]
    return False
