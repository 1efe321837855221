"""Clipping that the Trainer does just as well."""

from __future__ import annotations

import ast

from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.batch import whole_model
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.roles import Roles

_ALGORITHMS = {"clip_grad_norm_": "max_norm", "clip_grad_value_": "clip_value"}


def trainer_clip(node: ast.stmt, frame: Frame, roles: Roles) -> tuple[str, ...] | None:
    """The Trainer's settings for a plain clip of all that the optimizer steps, by a number above zero; else None.

    Lightning clips what the optimizer holds, in its order, and not at all where the bound is 0.
    """
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return None
    call = node.value
    name = dotted(call.func).rpartition(".")[2]
    bounds = [*call.args[1:], *(word.value for word in call.keywords if word.arg == _ALGORITHMS.get(name))]
    if name not in _ALGORITHMS or len(bounds) != 1 or len(call.args) + len(call.keywords) != 2:
        return None
    bound, parameters = bounds[0], call.args[0] if call.args else None
    if not isinstance(bound, ast.Constant) or not isinstance(bound.value, int | float) or bound.value <= 0:
        return None
    if not isinstance(parameters, ast.Call) or parameters.args or parameters.keywords:
        return None
    model, _, method = frame.canonical(parameters.func).rpartition(".")
    if method != "parameters" or model not in roles.models or not whole_model(roles, model):
        return None
    settings = (f"gradient_clip_val={bound.value!r}",)
    return settings if name == "clip_grad_norm_" else (*settings, 'gradient_clip_algorithm="value"')
