"""The step is given a closure

The optimizer runs forward and backward itself, once or many times; Lightning's own closure does more than that.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.kinds import is_optimizer, receiver
from lab_migrate.scan.syntax import FUNCTIONS, SourceFile

FAITHFUL = "stays in the step"
IDIOMATIC = "manual optimization"


def find(file: SourceFile) -> Iterator[Evidence]:
    """`optimizer.step(closure)` where the closure is a function of the file, a lambda, or called so."""
    functions = {node.name for node in file.every(*FUNCTIONS) if isinstance(node, FUNCTIONS)}
    for call in file.calls("step"):
        if not is_optimizer(file, receiver(call)):
            continue
        for argument in [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "closure")]:
            if isinstance(argument, ast.Lambda) or (
                isinstance(argument, ast.Name) and (argument.id in functions or "closure" in argument.id)
            ):
                function = file.function(call)
                if function is None or function.name != "step":  # an optimizer that hands it on
                    yield file.evidence(call)
