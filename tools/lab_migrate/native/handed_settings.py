"""What an optimizer of a project's own hands on to Lab's base when it is made, and what else it does then.

A native optimizer is made of the settings alone. What the class itself computes, leaves out or changes has to be told.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["UnlikeError", "handed_settings"]

#: The parameters of Lab's base, in its order, behind the model; with what it takes for those that it is not given.
BASE: Mapping[str, Any] = {
    "lr": ..., "decay": 0.0, "accumulate": 1, "clip_norm": None, "multipliers": None, "schedule": None,
    "gradients": None, "decay_multipliers": None,
}  # fmt: skip
HYPER = ("lr", "decay")
#: Where Lab's base keeps what it works with.
KEPT = {
    "accumulation", "clipping", "epochs", "gradients", "groups", "hyper", "masters", "micro_steps", "model", "pending",
    "schedules", "slots", "steps", "windows",
}  # fmt: skip
#: What may be called in a check, or for an attribute: it changes nothing, and draws nothing.
PLAIN = {
    "abs", "all", "any", "bool", "dict", "float", "int", "isinstance", "len", "list", "max", "min", "str", "sum",
    "tuple",
}  # fmt: skip


class UnlikeError(ValueError):
    """What an optimizer does when it is made that its settings do not say."""


def handed_settings(init: ast.FunctionDef) -> dict[str, Any]:
    """Hyperparameters that it gives Lab's base other than under their own names: constants only.

    Raises `UnlikeError` for anything else that it does with settings, groups or the model.
    """
    calls = [node for statement in init.body for node in _own(statement) if _is_base(node)]
    if len(calls) != 1:
        raise UnlikeError("does not call Lab's base once, by super().__init__(…)")
    for statement in init.body:
        if not _is_harmless(statement, calls[0]):
            raise UnlikeError(f"does more when it is made than to hand on settings: {_first_line(statement)}")
    handed = dict(_handed(calls[0], init.args.kwarg.arg if init.args.kwarg is not None else ""))
    own = {one.arg for one in (*init.args.posonlyargs, *init.args.args, *init.args.kwonlyargs)}
    for name in BASE:
        if name in own and name not in handed:
            raise UnlikeError(f"does not hand its {name} on to Lab's base")
    fixed: dict[str, Any] = {}
    for name, value in handed.items():
        if ast.unparse(value) in (name, f"tuple({name})"):
            continue
        try:
            fixed[name] = ast.literal_eval(value)
        except ValueError as error:
            raise UnlikeError(f"computes its hyperparameter {name} as {ast.unparse(value)}") from error
        is_otherwise = name in BASE and (name in own or (name not in HYPER and fixed[name] != BASE[name]))
        if name == "lr" or is_otherwise:
            raise UnlikeError(f"sets {name} itself: {ast.unparse(value)}")
        if name in BASE and name not in HYPER:
            del fixed[name]
    return fixed


def _own(statement: ast.stmt) -> list[ast.AST]:
    """The expression of a statement that is nothing else."""
    return [statement.value] if isinstance(statement, ast.Expr) else []


def _is_base(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__")):
            return True
    return False


def _is_harmless(statement: ast.stmt, base: ast.AST) -> bool:
    match statement:
        case ast.Expr(value=value):
            return value is base or isinstance(value, ast.Constant)
        case ast.Pass():
            return True
        case ast.Assign(targets=targets, value=value):
            return _is_plain(value) and all(_is_attribute(one) or _is_same(one, value) for one in targets)
        case ast.AnnAssign(target=target, value=value):
            return _is_attribute(target) and (value is None or _is_plain(value))
        case ast.If(test=test, body=[ast.Raise()], orelse=[]) | ast.Assert(test=test):
            return _is_plain(test)
    return False


def _is_attribute(target: ast.expr) -> bool:
    """`self.power`, but for what Lab's base keeps there."""
    match target:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name not in KEPT
        case ast.Tuple(elts=parts):
            return all(_is_attribute(one) for one in parts)
    return False


def _is_same(target: ast.expr, value: ast.expr) -> bool:
    """`betas = tuple(betas)`."""
    return isinstance(target, ast.Name) and ast.unparse(value) == f"tuple({target.id})"


def _is_plain(value: ast.expr) -> bool:
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in PLAIN):
            return False
        if isinstance(node, ast.NamedExpr | ast.Await | ast.Yield):
            return False
    return True


def _handed(call: ast.AST, rest: str) -> Iterator[tuple[str, ast.expr]]:
    assert isinstance(call, ast.Call)
    if not call.args or any(isinstance(one, ast.Starred) for one in call.args) or len(call.args) > len(BASE) + 1:
        raise UnlikeError(f"hands on what is not looked at: {ast.unparse(call)}")
    yield from zip(BASE, call.args[1:], strict=False)
    for one in call.keywords:
        if one.arg is None and ast.unparse(one.value) != rest:
            raise UnlikeError(f"hands on what is not looked at: {ast.unparse(call)}")
        if one.arg is not None:
            yield one.arg, one.value


def _first_line(statement: ast.stmt) -> str:
    return ast.unparse(statement).splitlines()[0]
