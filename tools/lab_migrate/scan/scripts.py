"""Scripts without a guard for `__main__`: what their top level calls trains."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from lab_migrate.analysis import CallGraph, TrainingLoop
from lab_migrate.analysis.calls import Call

__all__ = ["calls_at_top"]


def calls_at_top(graph: CallGraph, loops: Sequence[TrainingLoop]) -> dict[str, int]:
    """Files whose top level calls what trains, each with the first line that does.

    A function that is only handed over (to a registry, say) does not count, nor a method that is known by its name
    alone: `model.train()` may be anything.
    """
    found: dict[str, int] = {}
    seen: set[int] = set()
    queue = [loop.owner for loop in loops]
    while queue:
        function = queue.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        for call in graph.callers_of(function):
            if not isinstance(call.caller.node, ast.Module):
                queue.append(call.caller)
            elif call.direct and _is_known(graph, call):
                found[call.caller.path] = min(call.line, found.get(call.caller.path, call.line))
    return found


def _is_known(graph: CallGraph, call: Call) -> bool:
    func = call.node.func if isinstance(call.node, ast.Call) else None
    if not isinstance(func, ast.Attribute):
        return True
    if graph.types(call.caller, func.value):
        return True
    return graph.imported(call.caller.module, graph.full_name(call.caller, func)) is not None
