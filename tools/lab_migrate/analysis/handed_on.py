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
        optimizers = {*_made(function), *(_made(function.module.symbols.top))}
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
                    "name its loop in a profile (`scan --write-profile` drafts one), and convert again",
                )
    return None


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(word.value for word in call.keywords)]


def _made(function: Function) -> list[str]:
    """The names that a function gives optimizers of torch's."""
    found = []
    for name, values in function.assigned.items():
        for value in values:
            head, _, rest = dotted(value.func).partition(".") if isinstance(value, ast.Call) else ("", "", "")
            full = f"{function.module.symbols.imports.get(head, '')}.{rest}"
            if full.startswith("torch.optim.") or (head == "torch" and rest.startswith("optim.")):
                found.append(name)
    return found
