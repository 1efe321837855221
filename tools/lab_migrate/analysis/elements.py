"""What a loop's name is one of: the elements that a list was written with, or was given.

trainers = [cls(**config) for config in configs]     trainers.append(cls())     for one in trainers:
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.definitions import scopes
from lab_migrate.analysis.symbols import Function, dotted

__all__ = ["elements"]


def elements(function: Function, value: ast.expr) -> Iterator[tuple[Function, ast.expr]]:
    """The expressions that a loop's name may stand for, each with the function in whose code it is written."""
    if not isinstance(value, ast.Name):
        return
    for scope in scopes(function):
        found = [one for node in scope.own if isinstance(node, ast.For) for one in _drawn_from(node, value.id)]
        for iterable in found:
            yield from ((owner, element) for owner in _homes(scope, iterable) for element in _held(owner, iterable))
        if found or value.id in scope.assigned or value.id in scope.parameters:
            return


def _drawn_from(loop: ast.For, name: str) -> Iterator[ast.expr]:
    """What the loop takes the name's values from: itself, or what it wraps (`enumerate`, `zip`, `tqdm`)."""
    targets = loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
    at = next((index for index, one in enumerate(targets) if isinstance(one, ast.Name) and one.id == name), None)
    if at is None:
        return
    if not isinstance(loop.iter, ast.Call):
        if len(targets) == 1:
            yield loop.iter
        return
    # `enumerate(x)` counts in front of its one argument's elements, `zip(x, y)` gives one of each.
    yield from loop.iter.args[at : at + 1] if dotted(loop.iter.func) == "zip" else loop.iter.args[:1]


def _homes(scope: Function, iterable: ast.expr) -> list[Function]:
    """Whose code may fill it: the functions around it, of `self.trainers` all methods."""
    if isinstance(iterable, ast.Attribute) and scope.cls is not None:
        return list(scope.cls.methods.values())
    return list(scopes(scope))


def _held(owner: Function, iterable: ast.expr) -> Iterator[ast.expr]:
    if isinstance(iterable, ast.List | ast.Tuple):
        yield from iterable.elts
    name = dotted(iterable)
    for node in owner.own if name else ():
        if isinstance(node, ast.Assign) and any(dotted(target) == name for target in node.targets):
            if isinstance(node.value, ast.List | ast.Tuple):
                yield from node.value.elts
            elif isinstance(node.value, ast.ListComp):
                yield node.value.elt
        elif isinstance(node, ast.Call) and dotted(node.func) == f"{name}.append":
            yield from node.args[:1]
