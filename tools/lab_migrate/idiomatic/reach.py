"""What the functions of a project that a statement calls may do, a few calls down."""

from __future__ import annotations

import ast
from collections.abc import Callable

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, own_nodes
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import Nest

#: How many calls down is looked.
DEEPEST = 4

#: Whether a node of this function's code does what is looked for.
Does = Callable[[ast.AST, Function], bool]


def reached(body: list[ast.stmt], frame: Frame, graph: CallGraph, does: Does) -> ast.AST | None:
    """The node of some statements that `does` it, or the call of a function that leads there; else None."""
    nodes = own_nodes(body)
    first = next((node for node in nodes if does(node, frame.function)), None)
    if first is not None:
        return first
    here = {id(node) for node in nodes}
    for call in graph.calls_of(frame.function):
        if id(call.node) in here and any(_leads(target, graph, does, DEEPEST, set()) for target in call.targets):
            return call.node
    return None


def reached_in(nest: Nest, graph: CallGraph, does: Does) -> tuple[Frame, ast.AST] | None:
    """The first node of a nest that `does` it, or leads there, with its frame; None where all were looked at."""
    found = ((frame, reached(body, frame, graph, does)) for frame, body in nest.parts)
    return next(((frame, node) for frame, node in found if node is not None), None)


def functions_reached(nest: Nest, graph: CallGraph) -> list[Function]:
    """The functions that a nest calls, and those that these call, without the nest's own."""
    found: dict[int, Function] = {}

    def does(node: ast.AST, within: Function) -> bool:
        found[id(within)] = within
        return False

    reached_in(nest, graph, does)
    own = {id(frame.function) for frame in nest.frames}
    return [function for function in found.values() if id(function) not in own]


def _leads(function: Function, graph: CallGraph, does: Does, deepest: int, seen: set[int]) -> bool:
    if id(function) in seen or not deepest:
        return False
    seen.add(id(function))
    if any(does(node, function) for node in function.own):
        return True
    calls = graph.calls_of(function)
    return any(_leads(target, graph, does, deepest - 1, seen) for call in calls for target in call.targets)
