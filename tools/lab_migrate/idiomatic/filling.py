"""Who changes a container in its place: a statement of the loop, or a function that the loop gives it to.

history.append(loss)        changed where it stands
heapq.heappush(best, loss)  changed by a function of the standard library
record(history, loss)       changed by a function of the project's, by its parameter, or by one that it hands it on to
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.scopes import names_in
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


def changed_in_place(node: ast.AST) -> ast.expr | None:
    """What a statement or call changes in its place: `history` of `history["loss"].append(1)` and `history[0] = 1`."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return root_of(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATES:
        return root_of(node.func.value)
    return None


def counts(node: ast.AST) -> ast.expr | None:
    """The target of `self.n += 1` and `self.n = self.n + 1`."""
    if isinstance(node, ast.AugAssign):
        return node.target
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Attribute):
        name = dotted(node.targets[0])
        reads = any(isinstance(one, ast.Attribute) and dotted(one) == name for one in ast.walk(node.value))
        return node.targets[0] if name and reads else None
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


def changed_outside(function: Function, graph: CallGraph, deepest: int = 2, counts_only: bool = False) -> Iterator[str]:
    """Names of what outlives a call: of the functions and files around, and attributes of its object's class.

    `counts_only`: an entry that is given another value (`self.cache[i] = item`) is none.
    """
    bound = names_in(function.body)
    assigned = bound.assigned - bound.globals_ - bound.nonlocals
    this = function.parameters[0] if function.cls is not None and function.parameters else ""
    for node in function.own:
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from (name for name in node.names if name in bound.assigned)
        in_place = None if counts_only and isinstance(node, ast.Subscript) else changed_in_place(node)
        changed = counts(node) or in_place
        head, _, rest = dotted(root_of(changed)).partition(".") if changed is not None else ("", "", "")
        # What torch hands a hook, or a collator, has no `append`: such a parameter was bound by `partial`.
        is_bound = isinstance(node, ast.Call) and deepest == 2
        if rest and head == this and function.cls is not None:
            yield f"{function.cls.name}.{rest}"
        elif head and head not in assigned and (head not in function.parameters or is_bound):
            yield f"{head}.{rest}" if rest else head
    for call in graph.calls_of(function) if deepest else ():
        for target in call.targets:
            yield from changed_outside(target, graph, deepest - 1, counts_only)
