"""What scripts call: whether their top level trains, and which of them lead to a line."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from lab_migrate.analysis import CallGraph, TrainingLoop
from lab_migrate.analysis.calls import Call
from lab_migrate.analysis.function_values import passed
from lab_migrate.analysis.symbols import Function

__all__ = ["callers_of_line", "calls_at_top", "files_before"]


def calls_at_top(graph: CallGraph, loops: Sequence[TrainingLoop]) -> dict[str, int]:
    """Files whose top level calls what trains, each with the first line that does.

    A function that is only handed over (to a registry, say) does not count, nor a method that is known by its name
    alone: `model.train()` may be anything.
    """
    found: dict[str, int] = {}
    for call in _leading(graph, [loop.owner for loop in loops]):
        if isinstance(call.caller.node, ast.Module) and call.direct and _is_known(graph, call):
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
    return {function.path, *(call.caller.path for call in _leading(graph, [function]))}


def _leading(graph: CallGraph, functions: Sequence[Function]) -> Iterator[Call]:
    """The calls that lead to functions, at any distance.

    A launcher that calls what it is given (`launch(main)`) leads to a script's `main` where it is given that one, not
    from where it is given another's.
    """
    queue: list[tuple[Function, str, Function | None]] = [(function, "", None) for function in functions]
    seen: set[tuple[int, str, int]] = set()
    while queue:
        function, parameter, given = queue.pop()
        if (id(function), parameter, id(given)) in seen:
            continue
        seen.add((id(function), parameter, id(given)))
        for call in graph.callers_of(function):
            if parameter and given is not None and isinstance(call.node, ast.Call) and call.direct:
                values = [one for value in passed(function, call.node, parameter) for one in
                          graph.functions(call.caller, value)]  # fmt: skip
                if values and given not in values:
                    continue
            yield call
            func = call.node.func if isinstance(call.node, ast.Call) and call.direct else None
            name = func.id if isinstance(func, ast.Name) and func.id in call.caller.parameters else ""
            queue.append((call.caller, name, function if name else None))


def _is_known(graph: CallGraph, call: Call) -> bool:
    func = call.node.func if isinstance(call.node, ast.Call) else None
    if not isinstance(func, ast.Attribute):
        return True
    if graph.types(call.caller, func.value):
        return True
    return graph.imported(call.caller.module, graph.full_name(call.caller, func)) is not None
