"""Schedules that the training is given: by a parameter of its function, or as an attribute of its object.

main: train(model, optimizer, StepLR(optimizer, 3))       train: … scheduler.step()
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import dotted, own_nodes
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.made import Made, made_by
from lab_migrate.idiomatic.makings import Making, makings_of
from lab_migrate.idiomatic.nest import Nest

__all__ = ["schedules_given"]

_TORCHS = "torch.optim.lr_scheduler."


def schedules_given(nest: Nest, optimizers: list[str], graph: CallGraph) -> Iterator[tuple[str, Made]]:
    """PyTorch's schedules of the one optimizer that steps, with one of the places that make them."""
    if len(optimizers) != 1:
        return
    theirs = makings_of(optimizers[0], nest, graph)
    for name in dict.fromkeys(_stepped(nest)):
        if not name or ":" in name or name in optimizers or made_by(name, nest.base) is not None:
            continue
        makings = makings_of(name, nest, graph)
        if makings and all(making.maker.startswith(_TORCHS) and _is_of(making, theirs) for making in makings):
            call = makings[0].call
            statement = ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], call), call)
            yield name, Made(makings[0].owner, statement, call)


def _stepped(nest: Nest) -> Iterator[str]:
    """What `.step()` is called on, by the names of the base frame."""
    parts: list[tuple[Frame, list[ast.AST]]] = [(item.frame, own_nodes([item.node])) for item in nest.items]
    parts.append((nest.train.frame, own_nodes(nest.train.body)))
    for frame, nodes in parts:
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "step":
                yield frame.canonical(node.func.value)


def _is_of(schedule: Making, optimizers: list[Making]) -> bool:
    """Whether a schedule was made with one of the optimizers."""
    words = schedule.words() or {}
    given = schedule.call.args[0] if schedule.call.args else words.get("optimizer")
    values = schedule.owner.assigned.get(given.id, []) if isinstance(given, ast.Name) else []
    if isinstance(given, ast.Attribute) and schedule.owner.cls is not None:
        values = [value for _, value in schedule.owner.cls.attributes.get(dotted(given).partition(".")[2], [])]
    return bool(values) and all(any(value is one.call for one in optimizers) for value in values)
