"""Models that a trainer's class is given beside the optimizer of their parameters.

optimizer = SGD(list(online.parameters()) + list(predictor.parameters()))
BYOL(online, target, predictor, optimizer).train(data)      # trains self.online and self.predictor
"""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Class, Function, dotted
from lab_migrate.idiomatic.nest import Nest

__all__ = ["models_given"]


def models_given(optimizers: list[str], nest: Nest, graph: CallGraph) -> list[str]:
    """What the base frame's class knows as the models that these optimizers update; none where one cannot be told.

    Told where the class is made in one place, by a function that makes the optimizer and hands it on with the models.
    """
    function = nest.base.function
    made = _made(function.cls, graph)
    if made is None or not function.parameters:
        return []
    owner, given = made
    first = function.parameters[0]
    attributes = _attributes_given(function.cls)
    found: list[str] = []
    for optimizer in optimizers:
        head, _, attribute = optimizer.partition(".")
        argument = given.get(attributes.get(attribute, "")) if head == first else None
        values = owner.assigned.get(argument.id, []) if isinstance(argument, ast.Name) else []
        if len(values) != 1 or not isinstance(values[0], ast.Call):
            return []
        for model in _models(values[0]):
            names = [name for name, parameter in attributes.items() if dotted(given.get(parameter)) == model]
            if len(names) != 1:
                return []
            found.append(f"{first}.{names[0]}")
    return list(dict.fromkeys(found))


def _made(cls: Class | None, graph: CallGraph) -> tuple[Function, dict[str, ast.expr]] | None:
    """The one place that makes an instance of a class, and what it gives for each parameter."""
    start = cls.methods.get("__init__") if cls is not None else None
    calls = [call for call in graph.callers_of(start) if call.direct] if start is not None else []
    node = calls[0].node if len(calls) == 1 else None
    if start is None or not isinstance(node, ast.Call) or any(isinstance(arg, ast.Starred) for arg in node.args):
        return None
    given = dict(zip(start.parameters[1:], node.args, strict=False))
    return calls[0].caller, given | {word.arg: word.value for word in node.keywords if word.arg}


def _attributes_given(cls: Class | None) -> dict[str, str]:
    """Attribute -> parameter of `__init__`, of the attributes that are given one and nothing else."""
    assert cls is not None
    return {
        attribute: values[0][1].id
        for attribute, values in cls.attributes.items()
        if len(values) == 1 and values[0][0].name == "__init__" and isinstance(values[0][1], ast.Name)
    }


def _models(making: ast.Call) -> list[str]:
    return [
        dotted(node.func.value)
        for node in ast.walk(making)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("parameters", "named_parameters")
    ]
