"""Loops that train only where a flag says so: the same function runs a validation.

    def run_epoch(loader, model, optimizer=None):        @outlined.loop(trains=lambda optimizer: optimizer is not None)
        for x, y in loader:                              def run_epoch(loader, model, optimizer=None):
            loss = loss_of(model, x, y)
            if optimizer is not None:
                loss.backward()

Where the backward pass stands under a condition that has one value during the whole loop (of parameters, or of what the
loops around count), a pass without it is none of Lightning's batches.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

import attrs

from lab_migrate.analysis import TrainingLoop
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Function

__all__ = ["Condition", "condition_of"]

_OPERATORS = (ast.Is, ast.IsNot, ast.Eq, ast.NotEq, ast.In, ast.NotIn)


@attrs.frozen
class Condition:
    """An expression that is true where a loop trains, the names that it reads, and whether they are all parameters."""

    text: str
    names: tuple[str, ...]
    of_parameters: bool


def condition_of(loop: TrainingLoop) -> Condition | None:
    """The condition under which all backward passes of a loop stand; None where there is none, or it may change."""
    if any(not reach.direct for reach in loop.backward):
        return None
    found = {_condition(loop, reach.event.node) for reach in loop.backward}
    condition = found.pop() if len(found) == 1 else None
    if condition is None:
        return None
    names = tuple(sorted(names_in([ast.parse(condition, mode="eval").body]).read))
    fixed = _parameters(loop.owner)
    counted = {name for around in loop.around if isinstance(around, ast.For) for name in _targets(around)}
    changed = names_in([loop.node]).assigned
    if not names or not set(names) <= fixed | counted or set(names) & changed:
        return None
    return Condition(condition, names, set(names) <= fixed)


def _parameters(function: Function) -> set[str]:
    """Those that keep the value that they were given, `self` not among them."""
    own = set(function.parameters[1:] if function.cls is not None and not function.is_static else function.parameters)
    return own - names_in(function.body).assigned


def _targets(loop: ast.For) -> set[str]:
    """Names that a loop counts, and its body leaves as they are."""
    return names_in([loop.target]).assigned - names_in(loop.body).assigned


def _condition(loop: TrainingLoop, node: ast.AST) -> str | None:
    texts = [text for text in _around(loop.node.body, node) if text]
    return texts[0] if len(texts) == 1 else f"({') and ('.join(texts)})" if texts else None


def _around(body: Sequence[ast.stmt], node: ast.AST) -> Iterator[str]:
    """The parts that can be told of all conditions that hold where a node of these statements runs."""
    for statement in body:
        if any(one is node for one in ast.walk(statement)):
            for test, part, holds in _parts(statement):
                if any(one is node for inner in part for one in ast.walk(inner)):
                    if test is not None:
                        yield from _told(test, holds)
                    yield from _around(part, node)
            return
        if isinstance(statement, ast.If) and not statement.orelse and isinstance(statement.body[-1], ast.Continue):
            yield from _told(statement.test, False)


def _parts(statement: ast.stmt) -> Iterator[tuple[ast.expr | None, list[ast.stmt], bool]]:
    test = statement.test if isinstance(statement, ast.If) else None
    for name in ("body", "orelse"):
        part = getattr(statement, name, None)
        if isinstance(part, list) and part and not isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Try):
            yield test, part, name == "body"
        elif isinstance(part, list) and part and isinstance(statement, ast.Try) and name == "body":
            yield None, part, True


def _told(test: ast.expr, holds: bool) -> Iterator[str]:
    """Of a condition that holds, or does not, the parts that only compare names with constants."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield from _told(test.operand, not holds)
    elif isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And if holds else ast.Or):
        for value in test.values:
            yield from _told(value, holds)
    elif _is_plain(test):
        text = ast.unparse(test)
        yield text if holds else f"not {text}" if isinstance(test, ast.Name) else f"not ({text})"


def _is_plain(test: ast.expr) -> bool:
    if isinstance(test, ast.Compare):
        sides = [test.left, *test.comparators]
        return all(isinstance(one, _OPERATORS) for one in test.ops) and all(map(_is_name_or_constant, sides))
    return isinstance(test, ast.Name)


def _is_name_or_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(isinstance(one, ast.Constant) for one in node.elts)
    return isinstance(node, ast.Name | ast.Constant)
