"""Clipping that `fabric.clip_gradients` does just as well: of all that one optimizer holds, by a plain bound."""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph, TrainingLoop
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.convert.rule import Edit
from lab_migrate.fabric.setup import Place, argument_of

#: Each clip's bound, and what Fabric calls it.
_CLIPS = {"clip_grad_norm_": ("max_norm", "max_norm"), "clip_grad_value_": ("clip_value", "clip_val")}

#: What gives an optimizer, or a model, parameters.
_GIVE = frozenset(["add_param_group", "register_parameter", "add_module", "register_module"])
_ADD = frozenset(["append", "extend", "insert"])


def clip_edits(
    loop: TrainingLoop, optimizer: str, place: Place, model: str, fabric: str, graph: CallGraph
) -> list[Edit]:
    """Edits of the loop's clips of a model's parameters, which `place` made the optimizer from, in their order.

    Fabric clips what the optimizer holds, and raises where a norm is not finite unless it is told not to.
    """
    first = place.call.args[0] if place.call.args else None
    whole = (
        isinstance(first, ast.Call)
        and not first.args
        and not first.keywords
        and dotted(first.func) == f"{model}.parameters"
    )
    if not whole or _parameters_change(model, graph):
        return []
    module = loop.owner.module
    edits: list[Edit] = []
    for call in own_nodes([loop.node]):
        name = dotted(call.func).rpartition(".")[2] if isinstance(call, ast.Call) else ""
        if not isinstance(call, ast.Call) or name not in _CLIPS or not call.args:
            continue
        word, theirs = _CLIPS[name]
        bounds = [*call.args[1:], *(one.value for one in call.keywords if one.arg == word)]
        if len(bounds) != 1 or len(call.args) + len(call.keywords) != 2:
            continue
        clipped = call.args[0]
        if not isinstance(clipped, ast.Call) or clipped.args or clipped.keywords:
            continue
        local = dotted(clipped.func).removesuffix(".parameters")
        if f"{local}.parameters" != dotted(clipped.func) or not _is_same(local, model, loop.owner, place, graph):
            continue
        more = ", error_if_nonfinite=False" if name == "clip_grad_norm_" else ""
        text = f"{fabric}.clip_gradients({local}, {optimizer}, {theirs}={module.source(bounds[0])}{more})"
        edits.append(Edit(module.start(call), module.end(call), text))
    return edits


def _parameters_change(model: str, graph: CallGraph) -> bool:
    """Whether the project gives an optimizer more to hold, or the model other parts, than it was made with."""
    name = model.rpartition(".")[2]
    for module in graph.project.modules.values():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Attribute):
                continue
            stored = not isinstance(node.ctx, ast.Load)
            above = dotted(node.value).rpartition(".")[2]
            if node.attr in _GIVE or (stored and (node.attr == "param_groups" or above == name)):
                return True
            if node.attr in _ADD and dotted(node.value).endswith("param_groups"):
                return True
    return False


def _is_same(local: str, model: str, owner: Function, place: Place, graph: CallGraph) -> bool:
    """Whether what the loop's function calls `local` is what the optimizer's maker calls `model`."""
    head, _, rest = local.partition(".")
    if owner is place.function or (head not in owner.parameters and not rest):
        return local == model
    if rest and owner.cls is not None and owner.cls is place.function.cls:
        theirs = place.function.parameters[:1]
        return (
            owner.parameters[:1] == [head] and [model.partition(".")[0]] == theirs and model.partition(".")[2] == rest
        )
    calls = [call for call in graph.callers_of(owner) if call.direct and isinstance(call.node, ast.Call)]
    if rest or len(calls) != 1 or calls[0].caller is not place.function:
        return False
    value = argument_of(calls[0], owner, local)
    return value is not None and dotted(value) == model
