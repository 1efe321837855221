"""Clipping that the Trainer does just as well."""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.batch import clip_in, whole_model
from lab_migrate.idiomatic.limits import is_constant
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.reach import reached
from lab_migrate.idiomatic.roles import Roles

_ALGORITHMS = {"clip_grad_norm_": "max_norm", "clip_grad_value_": "clip_value"}


def trainer_clip(node: ast.stmt, nest: Nest, roles: Roles, graph: CallGraph) -> tuple[str, ...] | None:
    """The Trainer's settings for a plain clip of all that the optimizer steps, by a bound above zero; else None.

    Lightning clips what the optimizer holds, in its order, and not at all where the bound is 0 or less: so does
    `if bound > 0: clip_grad_norm_(model.parameters(), bound)`.
    """
    plain = node.body[0] if isinstance(node, ast.If) else node
    call = clip_in(node)
    if call is None or not isinstance(plain, ast.Expr):
        return None
    name = dotted(call.func).rpartition(".")[2]
    bounds = [*call.args[1:], *(word.value for word in call.keywords if word.arg == _ALGORITHMS.get(name))]
    if name not in _ALGORITHMS or len(bounds) != 1 or len(call.args) + len(call.keywords) != 2:
        return None
    text = _bound(bounds[0], node, nest, graph)
    parameters = call.args[0] if call.args else None
    if not text or not isinstance(parameters, ast.Call) or parameters.args or parameters.keywords:
        return None
    model, _, method = nest.train.frame.canonical(parameters.func).rpartition(".")
    if method != "parameters" or model not in roles.models or not whole_model(roles, model):
        return None
    settings = (f"gradient_clip_val={text}",)
    return settings if name == "clip_grad_norm_" else (*settings, 'gradient_clip_algorithm="value"')


def _bound(bound: ast.expr, node: ast.stmt, nest: Nest, graph: CallGraph) -> str:
    """The bound as the base frame writes it; empty where it may change, or be 0 without a condition that says so."""
    if not isinstance(node, ast.If):
        number = isinstance(bound, ast.Constant) and isinstance(bound.value, int | float) and bound.value > 0
        return ast.unparse(bound) if number else ""
    test, frame = node.test, nest.train.frame
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Gt):
        return ""
    zero = isinstance(test.comparators[0], ast.Constant) and test.comparators[0].value == 0
    same = zero and is_constant(bound, set()) and ast.dump(test.left) == ast.dump(bound)
    return (frame.in_base(bound) or "") if same and not _changes(bound, nest, graph) else ""


def _changes(bound: ast.expr, nest: Nest, graph: CallGraph) -> bool:
    """Whether the epochs may give the bound, or an attribute of its name, another value."""
    names = {one.id for one in ast.walk(bound) if isinstance(one, ast.Name)}
    attributes = {one.attr for one in ast.walk(bound) if isinstance(one, ast.Attribute)}

    def does(node: ast.AST, within: Function) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr in attributes and not isinstance(node.ctx, ast.Load)
        here = any(within is frame.function for frame in nest.frames)
        return isinstance(node, ast.Name) and here and node.id in names and not isinstance(node.ctx, ast.Load)

    return reached([nest.epochs], nest.base, graph, does) is not None
