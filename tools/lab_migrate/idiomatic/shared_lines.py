"""Statements that share a line, as `net = Net(); net.apply(start)`: what goes is taken out by whole lines."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from lab_migrate.convert.rule import Edit
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError


def refuse_shared_lines(edits: list[Edit], nest: Nest) -> None:
    """Raises `NotIdiomaticError` where a line that is changed holds several statements of code that stays."""
    module = nest.base.module
    # Code that moves into hooks is taken statement by statement.
    moved = {
        id(node) for one in [nest.epochs, *(frame.function.node for frame in nest.frames[1:])] for node in ast.walk(one)
    }
    for first, second in _neighbours(module.tree):
        start, end = module.start(first), module.end(second)
        if id(first) in moved or first.end_lineno != second.lineno:
            continue
        if any(edit.start < end and start < edit.end for edit in edits):
            raise NotIdiomaticError(
                "LM302", module.path, second, "a line that would change holds several statements",
                "give each statement a line of its own, and convert again",
            )  # fmt: skip


def _neighbours(tree: ast.AST) -> Iterator[tuple[ast.stmt, ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            suite = getattr(node, name, None)
            if isinstance(suite, list):
                yield from itertools.pairwise(suite)
