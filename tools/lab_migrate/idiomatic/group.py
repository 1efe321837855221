"""Where a training joins its process group, and which process starts it."""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.called import frame_of
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError

_JOIN = "init_process_group"
_SPAWNERS = ("spawn", "start_processes", "Process")
#: How many calls down or up the group is looked for.
_DEEPEST = 3


@attrs.frozen(eq=False)
class Group:
    """`rank` and `size` are expressions of the base frame where the program numbers its processes; else empty."""

    backend: str
    rank: str = ""
    size: str = ""


def group_of(nest: Nest, graph: CallGraph) -> Group | None:
    """The group that is joined for sure before the epochs; None where that, or who numbers it, cannot be told."""
    before = [node for node in _plain(nest.base.function) if node.lineno < nest.epochs.lineno]
    found = _joined(before, nest.base, graph, _DEEPEST)
    if found is not None:
        return _numbered(*found, nest, graph)
    function = nest.base.function
    for _ in range(_DEEPEST):
        calls = [call for call in graph.callers_of(function) if call.direct]
        if len(calls) != 1 or spawned(function, graph):
            return None
        caller, line = calls[0].caller, calls[0].line
        found = _joined([node for node in _plain(caller) if node.lineno < line], Frame(caller), graph, _DEEPEST)
        if found is not None:
            call, _ = found
            plain = not any(word.arg in ("rank", "world_size") for word in call.keywords) and len(call.args) <= 1
            return Group(_backend(call)) if plain else None
        function = caller
    return None


def spawned(function: Function, graph: CallGraph) -> bool:
    """Whether processes are started with a function."""
    for call in graph.callers_of(function):
        if not call.direct:
            around = [
                node
                for node in call.caller.own
                if isinstance(node, ast.Call) and any(part is call.node for part in ast.walk(node))
            ]
            if any(dotted(node.func).rpartition(".")[2] in _SPAWNERS for node in around):
                return True
    return False


def _plain(function: Function) -> list[ast.stmt]:
    """A function's statements; for a file those under `if __name__ == "__main__":`, too."""
    mains = [node for node in function.body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)]
    return [*function.body, *(inner for node in mains for inner in node.body)]


def _joined(body: list[ast.stmt], frame: Frame, graph: CallGraph, deepest: int) -> tuple[ast.Call, Frame] | None:
    for node in body:
        call = node.value if isinstance(node, ast.Expr | ast.Assign) else None
        if not isinstance(call, ast.Call):
            continue
        if dotted(call.func).rpartition(".")[2] == _JOIN:
            return call, frame
        known = [one for one in graph.calls_of(frame.function) if one.node is call and one.direct]
        if deepest and len(known) == 1 and len(known[0].targets) == 1:
            target = known[0].targets[0]
            try:
                inner = frame_of(known[0], frame)
            except NotIdiomaticError:
                continue
            found = _joined(_plain(target), inner, graph, deepest - 1)
            if found is not None:
                return found
    return None


def _numbered(call: ast.Call, frame: Frame, nest: Nest, graph: CallGraph) -> Group | None:
    words = {word.arg: word.value for word in call.keywords if word.arg}
    if "rank" not in words and "world_size" not in words and len(call.args) <= 1:
        return Group(_backend(call)) if not spawned(nest.base.function, graph) else None
    parameters = nest.base.function.parameters
    rank, size = (_in_base(words[name], frame, nest) if name in words else "" for name in ("rank", "world_size"))
    if size and spawned(nest.base.function, graph) and parameters and rank == parameters[0]:
        return Group(_backend(call), rank, size)
    return None


def _in_base(node: ast.expr, frame: Frame, nest: Nest) -> str:
    while frame is not nest.base and frame.base is not None:
        text = frame.in_base(node)
        if text is None:
            return ""
        node, frame = ast.parse(text, mode="eval").body, frame.base
    return ast.unparse(node)


def _backend(call: ast.Call) -> str:
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "backend")]
    return str(given[0].value) if given and isinstance(given[0], ast.Constant) else ""
