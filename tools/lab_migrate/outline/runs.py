"""Loops over runs, folds or seeds: each iteration is a training by itself, with an optimizer of its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from lab_migrate.analysis.symbols import Function, dotted, own_nodes

__all__ = ["trains_anew"]

_NAMED = re.compile(r"^(.*_)?(opt|optim|optimi[sz]er)s?(_.*)?$", re.IGNORECASE)
_MAKER = re.compile(r"optim(?!al|i[sz](e|ed|es|ing)($|_))", re.IGNORECASE)
#: What optimizers have: a name that ends so (`optim_state`, `get_optimizer_lr`) is none of an optimizer.
_PART = re.compile(
    r"_(args|cfg|cls|config|file|groups?|kwargs|level|loss(es)?|lrs?|name|params?|path|rate|states?|steps?|time|type)$"
    r"|_state_?dicts?$",
    re.IGNORECASE,
)
_FROM_LIBRARY = re.compile(r"(^|\.)(optim|optimizers?)\.([A-Z]\w*)$")


def trains_anew(function: Function, loop: ast.For | ast.While) -> bool:
    """Whether every iteration of a loop around a training makes its optimizer.

    One whose name is bound before the loop, if only to None, or which an object holds, and that is made sometimes
    (`if epoch == 5: optimizer = …`) goes on being trained.
    """
    inside = {id(node) for node in own_nodes(loop.body)}
    before = {target for node in function.own if id(node) not in inside for target in _bound(node)}
    found = {target for node in own_nodes(loop.body) for target in _made(node)}
    return any(_always(loop.body, target) or not ("." in target or target in before) for target in found)


def _made(node: ast.AST) -> Iterator[str]:
    """Names that are given an optimizer by a statement."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
        return
    maker = dotted(node.value.func)
    called = maker.rpartition(".")[2]
    makes = bool((_MAKER.search(called) and not _PART.search(called)) or _FROM_LIBRARY.search(maker))
    for target in map(dotted, node.targets):
        of_itself = bool(target) and maker.startswith(f"{target}.")
        name = target.rpartition(".")[2]
        if target and (makes or (_NAMED.match(name) and not _PART.search(name) and not of_itself)):
            yield target


def _bound(node: ast.AST) -> Iterator[str]:
    """What a statement gives a value to."""
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        yield from map(dotted, node.targets if isinstance(node, ast.Assign) else [node.target])


def _always(body: Sequence[ast.stmt], target: str) -> bool:
    """Whether every way through some statements makes it."""
    for node in body:
        if target in _made(node):
            return True
        if isinstance(node, ast.If) and node.orelse and all(_always(part, target) for part in (node.body, node.orelse)):
            return True
        if isinstance(node, ast.With | ast.Try) and _always(node.body, target):
            return True
    return False
