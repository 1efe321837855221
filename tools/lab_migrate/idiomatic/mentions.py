"""In which order a hook's statements read and assign names, as far as it can be told without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import attrs

from lab_migrate.analysis.scopes import names_in
from lab_migrate.idiomatic.frame import Frame, Item


@attrs.frozen
class Mention:
    """A name's use. `sure` assignments happen whenever their hook runs; `statement` counts the hook's statements."""

    name: str
    stores: bool
    sure: bool
    statement: int


def mentions_of(items: list[Item], start: int = 0) -> list[Mention]:
    """Uses of names in these statements, by their canonical names."""
    found: list[Mention] = []
    for position, item in enumerate(items, start):
        if item.result is not None and item.base is not None:
            assert item.value is not None
            found += _loads(item.frame, item.value, position)
            found += _stores(item.base, item.result, True, position)
        else:
            found += _statement(item.frame, item.node, True, position)
    return found


def stores_of(frame: Frame, target: ast.expr, position: int = 0) -> list[Mention]:
    """The names that an assignment to `target` binds."""
    return list(_stores(frame, target, True, position))


def _statement(frame: Frame, node: ast.stmt, sure: bool, at: int) -> Iterator[Mention]:
    if isinstance(node, ast.Assign):
        yield from _loads(frame, node.value, at)
        for target in node.targets:
            yield from _stores(frame, target, sure, at)
    elif isinstance(node, ast.AugAssign):
        yield from _loads(frame, node.value, at)
        if isinstance(node.target, ast.Name):
            yield Mention(frame.canonical(node.target.id), False, True, at)
        yield from _stores(frame, node.target, sure, at)
    elif isinstance(node, ast.AnnAssign):
        if node.value is not None:
            yield from _loads(frame, node.value, at)
            yield from _stores(frame, node.target, sure, at)
    elif isinstance(node, ast.With):
        for item in node.items:
            yield from _loads(frame, item.context_expr, at)
            if item.optional_vars is not None:
                yield from _stores(frame, item.optional_vars, sure, at)
        for one in node.body:
            yield from _statement(frame, one, sure, at)
    elif isinstance(node, ast.For):
        yield from _loads(frame, node.iter, at)
        yield from _stores(frame, node.target, False, at)
        for one in [*node.body, *node.orelse]:
            yield from _statement(frame, one, False, at)
    elif isinstance(node, ast.If | ast.While):
        yield from _loads(frame, node.test, at)
        for one in [*node.body, *node.orelse]:
            yield from _statement(frame, one, False, at)
    elif isinstance(node, ast.Try):
        parts = [*node.body, *(one for handler in node.handlers for one in handler.body), *node.orelse, *node.finalbody]
        for one in parts:
            yield from _statement(frame, one, False, at)
    else:
        names = names_in([node])
        for name in sorted(names.read | names.captured):
            yield Mention(frame.canonical(name), False, sure, at)
        for name in sorted(names.assigned | names.deleted):
            yield Mention(frame.canonical(name), True, sure, at)


def _loads(frame: Frame, node: ast.expr, at: int) -> Iterator[Mention]:
    names = names_in([node])
    for name in sorted((names.read | names.captured | names.assigned) - {""}):
        if name in names.assigned:
            yield Mention(frame.canonical(name), True, True, at)
        if name in frame.arguments and not frame.canonical(name):
            assert frame.base is not None
            yield from _loads(frame.base, frame.arguments[name], at)
        elif name in names.read | names.captured:
            yield Mention(frame.canonical(name), False, True, at)


def _stores(frame: Frame, target: ast.expr, sure: bool, at: int) -> Iterator[Mention]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            yield Mention(frame.canonical(node.id), isinstance(node.ctx, ast.Store), sure, at)
