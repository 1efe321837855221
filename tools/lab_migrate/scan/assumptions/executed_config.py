"""A config file is executed

`exec(open(…).read())` may set any global of the script: which names are settings cannot be told from the code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "stays, at the script's own level"
IDIOMATIC = "stays: the names remain globals"


def find(file: SourceFile) -> Iterator[Evidence]:
    """`exec` of what was read from a file; `globals()[name] = …`."""
    for call in file.calls("exec"):
        if isinstance(call.func, ast.Name) and any(
            _reads(part) for argument in call.args for part in ast.walk(argument)
        ):
            yield file.evidence(call)
    for node in file.every(ast.Assign):
        assert isinstance(node, ast.Assign)
        if any(
            isinstance(target, ast.Subscript) and ast.unparse(target.value) == "globals()" for target in node.targets
        ):
            yield file.evidence(node)


def _reads(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("read", "read_text")
