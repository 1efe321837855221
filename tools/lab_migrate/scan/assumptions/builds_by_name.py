"""What is trained is chosen by name, at run time

`getattr(module, name)(**args)`, registries, imports by string: which class is built is in the configs, not in the
code, so that a scan cannot follow it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "stays"
IDIOMATIC = "stays"


def find(file: SourceFile) -> Iterator[Evidence]:
    """A call of what `getattr`, a lookup or an import by a computed name gives; `eval` of a name; registries."""
    for call in file.every(ast.Call):
        assert isinstance(call, ast.Call)
        func = call.func
        if isinstance(func, ast.Call) and file.name(func.func) == "getattr" and _by_variable(func):
            yield file.evidence(call)
    for call in file.calls("import_module", "__import__"):
        if call.args and not isinstance(call.args[0], ast.Constant):
            yield file.evidence(call, "imported by a computed name")
    for call in file.calls("getattr"):
        above = file.parent(call)
        if isinstance(above, ast.Assign) and _by_variable(call) and _is_module(file, call.args[0]):
            yield file.evidence(call)
    for call in file.calls("Registry"):
        yield file.evidence(call, "a registry")
    for call in file.calls("instantiate", "make_from_config", "init_obj", "build_from_cfg"):
        yield file.evidence(call)


def _by_variable(call: ast.Call) -> bool:
    """`getattr(x, name)` and not `getattr(x, "name")`."""
    return len(call.args) >= 2 and not isinstance(call.args[1], ast.Constant)


def _is_module(file: SourceFile, node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in file.imports
