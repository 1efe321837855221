"""Who changes a container in its place: a statement of the loop, or a function that the loop gives it to.

history.append(loss)        changed where it stands
heapq.heappush(best, loss)  changed by a function of the standard library
record(history, loss)       changed by a function of the project's, by its parameter, or by one that it hands it on to
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.beginnings import root_of
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.plain import arguments_of

_MUTATES = {
    "add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft", "insert",
    "intersection_update", "pop", "popitem", "popleft", "remove", "reverse", "rotate", "setdefault", "sort", "update",
}  # fmt: skip
#: Functions of the standard library and of numpy that change what they are given first.
_CHANGE_FIRST = {
    "heapq.heapify", "heapq.heappop", "heapq.heappush", "heapq.heappushpop", "heapq.heapreplace", "bisect.insort",
    "bisect.insort_left", "bisect.insort_right", "random.shuffle", "numpy.random.shuffle", "operator.setitem",
    "operator.delitem", "operator.iadd",
}  # fmt: skip
#: How many calls down a container is followed.
_DEEPEST = 3


def is_filling(method: str) -> bool:
    """Whether a method of that name changes a container in its place."""
    return method in _MUTATES


def changed_in_place(node: ast.AST) -> ast.expr | None:
    """What a statement or call changes in its place: `history` of `history["loss"].append(1)` and `history[0] = 1`."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return root_of(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATES:
        return root_of(node.func.value)
    return None


def changed_by_others(node: ast.AST, frame: Frame, graph: CallGraph) -> Iterator[tuple[ast.expr, str]]:
    """What a call gives to a function that changes it, with that function's name."""
    if not isinstance(node, ast.Call):
        return
    yield from ((root_of(given), f"{name}()") for given, name in _changed(node, frame.function, graph, _DEEPEST))


def _changed(call: ast.Call, within: Function, graph: CallGraph, deepest: int) -> Iterator[tuple[ast.expr, str]]:
    head, dot, rest = dotted(call.func).partition(".")
    full = f"{within.module.symbols.imports.get(head, head)}{dot}{rest}"
    if full in _CHANGE_FIRST and call.args:
        yield call.args[0], dotted(call.func)
    if not deepest:
        return
    for target in next((one.targets for one in graph.calls_of(within) if one.node is call and one.direct), ()):
        for parameter, given in arguments_of(target, call).items():
            if _changes(target, parameter, graph, deepest - 1):
                yield given, target.qualified


def _changes(function: Function, parameter: str, graph: CallGraph, deepest: int) -> bool:
    """Whether a function changes what it is given by this parameter, itself or by what it calls."""
    for node in function.own:
        changed = root_of(node.target) if isinstance(node, ast.AugAssign) else changed_in_place(node)
        if changed is not None and dotted(changed) == parameter:
            return True
        if isinstance(node, ast.Call):
            given = (root_of(one) for one, _ in _changed(node, function, graph, deepest))
            if any(dotted(one) == parameter for one in given):
                return True
    return False
