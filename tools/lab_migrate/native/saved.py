"""Checkpoints that a hook writes or looks for: a native training's are Lightning's, and end in another way."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

import libcst as cst

__all__ = ["MAY_SAVE", "Renamed", "labs_files", "saves"]

#: Where a run goes on from what is written: a step's first batch is not fetched, and all that belongs to it is done.
MAY_SAVE = {"after_step", "after_eval", "after_train"}
ENDING, NATIVE = ".lab", ".ckpt"


def saves(asked: ast.Attribute, parents: Mapping[ast.AST, ast.AST]) -> bool:
    """Whether `trainer.save` is called here, with a path alone."""
    match parents.get(asked):
        case ast.Call(func=func, args=[path], keywords=[]):
            return func is asked and not isinstance(path, ast.Starred)
    return False


def labs_files(definition: ast.ClassDef) -> Iterator[ast.Constant]:
    """Names of Lab's checkpoints that are not those of what the class saves itself."""
    writes = any(isinstance(node, ast.Attribute) and node.attr == "save" for node in ast.walk(definition))
    docs = set(_docs(ast.walk(definition)))
    for node in ast.walk(definition):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or node in docs:
            continue
        of_others = "*" in node.value or "step_" in node.value or not node.value.endswith(ENDING)
        if ENDING in node.value and (of_others or not writes):
            yield node


def _docs(nodes: Iterable[ast.AST]) -> Iterator[ast.Constant]:
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


class Renamed(cst.CSTTransformer):
    """`best.lab` becomes `best.ckpt`, in a class that writes it."""

    def leave_SimpleString(  # noqa: N802
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.SimpleString:
        """Of a plain string."""
        value = original_node.evaluated_value
        if isinstance(value, str) and value.endswith(ENDING):
            return updated_node.with_changes(value=NATIVE.join(original_node.value.rsplit(ENDING, 1)))
        return updated_node

    def leave_FormattedStringText(  # noqa: N802
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.FormattedStringText:
        """Of one with values in it."""
        value = original_node.value
        if value.endswith(ENDING):
            return updated_node.with_changes(value=value.removesuffix(ENDING) + NATIVE)
        return updated_node
