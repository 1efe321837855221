"""A training that an installed package runs: the call that is given the optimizer, or has it, and trains."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

from lab_migrate.analysis.calls import CallGraph
from lab_migrate.analysis.sources import Project
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.analysis.test_files import is_test
from lab_migrate.analysis.unrepeated import Unrepeated

__all__ = ["handed_on"]

_TRAINS = re.compile(r"(^|_)(train|fit|run|learn|start|launch)", re.IGNORECASE)


def handed_on(project: Project, graph: CallGraph, files: Collection[str] | None) -> Unrepeated | None:
    """The first such call, of a project or some of its files; None where no optimizer of torch's is handed on."""
    for function in project.functions:
        if is_test(function.path, function.module) or (files is not None and function.path not in files):
            continue
        optimizers = {*_made(function, graph), *_made(function.module.symbols.top, graph)}
        for node in function.own:
            name = dotted(node.func) if isinstance(node, ast.Call) else ""
            if not isinstance(node, ast.Call) or not _TRAINS.search(name.rpartition(".")[2]):
                continue
            given = {dotted(one) for value in _given(node) for one in ast.walk(value) if dotted(one)}
            if given & optimizers and not graph.targets(function, node.func):
                return Unrepeated(
                    function.path,
                    node.lineno,
                    f"{name} is given the optimizer, and is none of this project's: an installed package trains",
                    "name its loop in a profile (`scan --write-profile` drafts one), or put the package's source "
                    "beside the entry, from where it is imported then; and convert again",
                )
    return None


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(word.value for word in call.keywords)]


def _made(function: Function, graph: CallGraph) -> list[str]:
    """The names that a function gives optimizers of torch's."""
    return [
        name
        for name, values in function.assigned.items()
        if any(_is_optimizer(function, value, graph) for value in values)
    ]


def _is_optimizer(function: Function, value: ast.expr | None, graph: CallGraph, depth: int = 0) -> bool:
    """Whether it calls a class of `torch.optim`, or a function that returns what does."""
    if not isinstance(value, ast.Call) or depth > 1:
        return False
    head, _, rest = dotted(value.func).partition(".")
    full = f"{function.module.symbols.imports.get(head, '')}.{rest}"
    if full.startswith("torch.optim.") or (head == "torch" and rest.startswith("optim.")):
        return True
    return any(
        _is_optimizer(one, node.value, graph, depth + 1)
        for one in graph.targets(function, value.func)
        for node in one.own
        if isinstance(node, ast.Return)
    )
