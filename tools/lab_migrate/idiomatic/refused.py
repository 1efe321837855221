"""Why a loop is not rewritten: raised where it is seen, reported with its line."""

from __future__ import annotations

import ast

from lab_migrate.analysis.symbols import Function


class NotIdiomaticError(Exception):
    """The rewrite would change what is trained, or cannot be told to be right. `code` is the rule that explains it.

    `file` is the file whose loop is left; `path` is where the reason stands, which may be another one.
    """

    def __init__(self, code: str, path: str, node: ast.AST | None, reason: str, next_step: str) -> None:
        super().__init__(reason)
        self.code = code
        self.path = path
        self.file = path
        self.line: int = getattr(node, "lineno", 0)
        self.column: int = getattr(node, "col_offset", -1) + 1
        self.reason = reason
        self.next_step = next_step


class ManualOptimizationError(Exception):
    """Automatic optimization does not do what a batch's code does, so the step stays as it is written."""

    def __init__(self, node: ast.AST, reason: str) -> None:
        super().__init__(reason)
        self.line: int = getattr(node, "lineno", 0)
        self.reason = reason


def no_nest(function: Function, node: ast.AST, reason: str) -> NotIdiomaticError:
    """The refusal of a loop's shape."""
    return NotIdiomaticError(
        "LM302", function.path, node, reason,
        "write epochs as `for epoch in range(n)` around one plain loop over a loader, or keep the faithful way",
    )  # fmt: skip
