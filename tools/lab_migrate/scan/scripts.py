"""What scripts call: whether their top level trains, and which of them lead to a line."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from lab_migrate.analysis import CallGraph, TrainingLoop
from lab_migrate.analysis.calls import Call
from lab_migrate.analysis.symbols import Function

__all__ = ["callers_of_line", "calls_at_top", "files_before"]


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


def callers_of_line(graph: CallGraph, path: str, line: int) -> set[str] | None:
    """Files whose code leads to the function that a line stands in; None where who calls that cannot be told."""
    functions = graph.project.modules[path].symbols.functions
    around = [
        function
        for function in functions
        if not isinstance(function.node, ast.Module) and function.line <= line <= (function.node.end_lineno or 0)
    ]
    if not around:
        return None
    queue = [max(around, key=lambda function: function.line)]
    seen: dict[int, Function] = {}
    while queue:
        function = queue.pop()
        if id(function) in seen:
            continue
        seen[id(function)] = function
        queue += [call.caller for call in graph.callers_of(function)]
        if function.parent is not None and not isinstance(function.parent.node, ast.Module):
            queue.append(function.parent)
    tops = {function.path for function in seen.values() if isinstance(function.node, ast.Module)}
    return tops or None


def files_before(graph: CallGraph, function: Function) -> set[str]:
    """Files with code that leads to a function, by whatever calls; its own one among them."""
    seen: dict[int, Function] = {}
    queue = [function]
    while queue:
        one = queue.pop()
        if id(one) not in seen:
            seen[id(one)] = one
            queue += [call.caller for call in graph.callers_of(one)]
    return {one.path for one in seen.values()}


def _is_known(graph: CallGraph, call: Call) -> bool:
    func = call.node.func if isinstance(call.node, ast.Call) else None
    if not isinstance(func, ast.Attribute):
        return True
    if graph.types(call.caller, func.value):
        return True
    return graph.imported(call.caller.module, graph.full_name(call.caller, func)) is not None
