"""Loaders under a name that a phase gives them: `loader = loaders["train"]`, and a loop over `loader`."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import libcst as cst

from lab_migrate.analysis import Function

__all__ = ["without_aliases"]


def without_aliases(
    statements: Sequence[cst.BaseStatement], phases: ast.For, owner: Function
) -> list[cst.BaseStatement]:
    """The statements of one phase, with what a loop iterates over under the name that it has outside.

    `phases` is the loop over phases, and `owner` the function that it stands in.
    """
    block = cst.Module([])
    tree = ast.parse("".join(map(block.code_for_node, statements)))
    iterated = _iterated(tree)
    inside = {id(one) for one in ast.walk(phases)}
    outside = {one.id for one in ast.walk(owner.node) if isinstance(one, ast.Name) and id(one) not in inside}
    stored = [one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)]
    found: dict[str, cst.BaseExpression] = {}
    kept: list[cst.BaseStatement] = []
    seen = ""
    for node in statements:
        text = block.code_for_node(node)
        name, value = _alias(node)
        if (
            value is not None
            and name in iterated - outside
            and stored.count(name) == 1
            and not _names(value) & {*stored}
            and name not in {one.id for one in ast.walk(ast.parse(seen)) if isinstance(one, ast.Name)}
        ):
            found[name] = value
            continue
        seen += text
        kept.append(node)
    return [one for node in kept if isinstance(one := node.visit(_Names(found)), cst.BaseStatement)]


def _iterated(tree: ast.Module) -> set[str]:
    """Names in the headers of loops."""
    return {
        one.id
        for node in ast.walk(tree)
        if isinstance(node, ast.For)
        for one in ast.walk(node.iter)
        if isinstance(one, ast.Name)
    }


def _alias(node: cst.BaseStatement) -> tuple[str, cst.BaseExpression | None]:
    """`name = a.b["c"]`."""
    small = node.body[0] if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1 else None
    if not isinstance(small, cst.Assign) or len(small.targets) != 1:
        return "", None
    target = small.targets[0].target
    if not isinstance(target, cst.Name) or not _is_path(small.value):
        return "", None
    return target.value, small.value


def _is_path(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.Subscript) and len(node.slice) == 1:
        index = node.slice[0].slice
        return isinstance(index, cst.Index) and isinstance(index.value, cst.SimpleString) and _is_path(node.value)
    if isinstance(node, cst.Attribute):
        return _is_path(node.value)
    return isinstance(node, cst.Name)


def _names(value: cst.BaseExpression) -> set[str]:
    tree = ast.parse(cst.Module([]).code_for_node(value), mode="eval")
    return {one.id for one in ast.walk(tree) if isinstance(one, ast.Name)}


class _Names(cst.CSTTransformer):
    """Puts expressions in the place of names."""

    def __init__(self, found: dict[str, cst.BaseExpression]) -> None:
        super().__init__()
        self.found = found

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:  # noqa: N802
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:  # noqa: N802
        return updated_node.with_changes(keyword=original_node.keyword)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:  # noqa: N802
        return self.found.get(updated_node.value, updated_node)
