"""Which of several statements have run when another one does, as far as `if` and `match` tell."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from lab_migrate.analysis.symbols import Function

Arms = tuple[tuple[ast.stmt, int], ...]


def arms_of(function: Function, statement: ast.stmt) -> Arms:
    """The branches that a statement of a function stands in, outermost first: a node with the number of its suite."""
    found = _find(function.body, statement, ())
    # A statement of a class's body counts as one of the file that the class stands in.
    return found if found is not None else ()


def exclusive(a: Arms, b: Arms) -> bool:
    """Whether only one of two statements runs: they stand in different branches of one `if` or `match`."""
    other = {id(node): arm for node, arm in b}
    return any(isinstance(node, ast.If | ast.Match) and other.get(id(node), arm) != arm for node, arm in a)


def certain(before: Sequence[Arms], here: Arms) -> bool:
    """Whether one of the statements before has run for certain where `here` stands."""
    inside = {(id(node), arm) for node, arm in here}
    if any(all((id(node), arm) in inside for node, arm in arms) for arms in before):
        return True
    for arms in before:
        place = next(number for number, (node, arm) in enumerate(arms) if (id(node), arm) not in inside)
        node = arms[place][0]
        if not isinstance(node, ast.If) or any(id(node) == id(other) for other, _ in here) or not node.orelse:
            continue
        if all(
            isinstance(suite[-1], ast.Raise) or certain(before, (*here, (node, arm)))
            for arm, suite in enumerate((node.body, node.orelse))
        ):
            return True
    return False


def _find(body: Sequence[ast.stmt], statement: ast.stmt, around: Arms) -> Arms | None:
    for node in body:
        if node is statement:
            return around
        for arm, (suite, certainly) in enumerate(_suites(node)):
            found = _find(suite, statement, around if certainly else (*around, (node, arm)))
            if found is not None:
                return found
    return None


def _suites(node: ast.stmt) -> list[tuple[list[ast.stmt], bool]]:
    """The suites of a statement, and whether each is run whenever the statement is."""
    if isinstance(node, ast.With | ast.AsyncWith):
        return [(node.body, True)]
    if isinstance(node, ast.Match):
        return [(case.body, False) for case in node.cases]
    if isinstance(node, ast.Try | ast.TryStar):
        handlers = [(handler.body, False) for handler in node.handlers]
        return [(node.body, True), *handlers, (node.orelse, False), (node.finalbody, True)]
    if isinstance(node, ast.If | ast.For | ast.While | ast.AsyncFor):
        return [(node.body, False), (node.orelse, False)]
    return []
