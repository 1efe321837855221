"""Methods of a hook's own to which it hands Lab's trainer: what a base calls every so many steps, say."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping

import attrs

__all__ = ["Helper", "called_here", "helpers_of", "parameter_for"]


@attrs.frozen
class Helper:
    """What it calls the trainer, and from which of Lab's methods it is reached."""

    trainer: str
    within: frozenset[str]


def helpers_of(methods: Mapping[str, ast.FunctionDef], begins: Collection[str]) -> Mapping[str, Helper]:
    """Those of `methods`, all that a hook's classes have, that are given the trainer wherever they are called.

    `begins` are Lab's own, which are given it first. One of a class further up, hidden by another, has its class
    before its name.
    """
    found: dict[str, Helper] = {}
    waiting = [
        (node.args.args[1].arg, node, key.rpartition(".")[2])
        for key, node in methods.items()
        if key.rpartition(".")[2] in begins and len(node.args.args) > 1
    ]
    while waiting:
        trainer, node, within = waiting.pop()
        for call, argument in _handed(node, trainer):
            name = called_here(call.func)
            for key, one in methods.items():
                parameter = parameter_for(argument, call, one) if key.rpartition(".")[2] == name else ""
                if not parameter or name in begins:
                    continue
                before = found.get(key, Helper(parameter, frozenset()))
                if within not in before.within and before.trainer == parameter:
                    found[key] = Helper(parameter, before.within | {within})
                    waiting.append((parameter, one, within))
    while (odd := _otherwise(methods, found, begins)) is not None:
        found = {key: one for key, one in found.items() if key.rpartition(".")[2] != odd}
    return found


def called_here(node: ast.AST) -> str:
    """`name` of `self.name` and of `super().name`."""
    match node:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
        case ast.Attribute(value=ast.Call(func=ast.Name(id="super"), args=[]), attr=name):
            return name
    return ""


def parameter_for(argument: ast.expr, call: ast.Call, method: ast.FunctionDef) -> str:
    """What a method calls an argument that stands alone in a call of it; empty where that cannot be told."""
    decorated = any(ast.unparse(one) != "torch.no_grad()" for one in method.decorator_list)
    plain = not (method.args.posonlyargs or decorated or any(isinstance(a, ast.Starred) for a in call.args))
    for number, one in enumerate(call.args):
        if one is argument and plain and number + 1 < len(method.args.args):
            return method.args.args[number + 1].arg
    named = {one.arg for one in (*method.args.args, *method.args.kwonlyargs)}
    return next((one.arg for one in call.keywords if one.value is argument and one.arg in named and one.arg), "")


def _handed(node: ast.AST, trainer: str) -> Iterator[tuple[ast.Call, ast.expr]]:
    """Calls of the hook's methods that are given the trainer."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and called_here(call.func):
            for one in (*call.args, *(part.value for part in call.keywords if part.arg)):
                if isinstance(one, ast.Name) and one.id == trainer:
                    yield call, one


def _otherwise(
    methods: Mapping[str, ast.FunctionDef], found: Mapping[str, Helper], begins: Collection[str]
) -> str | None:
    """The name of one that is also used, or defined, otherwise: what is written of it would not fit there."""
    names = {key.rpartition(".")[2] for key in found}
    if defined := [key.rpartition(".")[2] for key in methods if key.rpartition(".")[2] in names and key not in found]:
        return defined[0]
    for key, node in methods.items():
        own = found[key].trainer if key in found else ""
        if not own and key.rpartition(".")[2] in begins and len(node.args.args) > 1:
            own = node.args.args[1].arg
        handed = {call.func for call, _ in _handed(node, own)} if own else set()
        for inner in ast.walk(node):
            if called_here(inner) in names and inner not in handed:
                return called_here(inner)
    return None
