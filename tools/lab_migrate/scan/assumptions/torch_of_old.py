"""The code speaks to a torch of years ago

`it.next()` on a loader's iterator, `Variable(volatile=True)`, `loss.data[0]`, `async=True`: gone from today's torch,
and where a bare `except` hides the error, training goes on differently.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.kinds import words
from lab_migrate.scan.syntax import SourceFile, raw_name

FAITHFUL = "stays as it is, and fails where it failed"
HAND = "make the legacy code run on the torch that is installed before you migrate it"


def find(file: SourceFile) -> Iterator[Evidence]:
    """Names that torch has dropped."""
    for call in file.calls("next"):
        if isinstance(call.func, ast.Attribute) and not call.args:
            name = raw_name(call.func.value)
            if any("iter" in word or "loader" in word for word in words(name)) and not _is_own(file, call):
                yield file.evidence(call, "next(…) since torch 1.13")
    for call in file.calls("Variable"):
        if any(keyword.arg == "volatile" for keyword in call.keywords):
            yield file.evidence(call, "torch.no_grad() since torch 0.4")
    for node in file.every(ast.Subscript):
        assert isinstance(node, ast.Subscript)
        if (
            isinstance(node.value, ast.Attribute) and node.value.attr == "data"
            and isinstance(node.slice, ast.Constant) and node.slice.value == 0
            and "loss" in raw_name(node.value.value).rpartition(".")[2].lower()
        ):  # fmt: skip
            yield file.evidence(node, ".item() since torch 0.4")
    for call in file.calls("clip_grad_norm"):
        if file.name(call.func).startswith("torch."):
            yield file.evidence(call, "clip_grad_norm_ since torch 0.4")


def _is_own(file: SourceFile, call: ast.Call) -> bool:
    """Whether the project's own iterator has a method `next`."""
    return any(isinstance(node, ast.FunctionDef) and node.name == "next" for node in file.every(ast.FunctionDef))
