"""One step takes several forward and backward passes

SAM, adversarial training, critics: with `retain_graph`, modules switched between passes, or gradients kept from one
pass to the next.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import FUNCTIONS, SourceFile, last_name

FAITHFUL = "stays in the step"
IDIOMATIC = "manual optimization"


def find(file: SourceFile) -> Iterator[Evidence]:
    """`retain_graph=True`, two-phase optimizers, and a second backward in the same block before any step."""
    for call in file.calls("backward"):
        kept = [keyword.value for keyword in call.keywords if keyword.arg == "retain_graph"]
        if any(isinstance(value, ast.Constant) and value.value is True for value in kept):
            yield file.evidence(call, "keeps the graph")
    for call in file.calls("first_step", "second_step"):
        function = file.function(call)
        if function is None or function.name not in ("step", "first_step", "second_step"):
            yield file.evidence(call, "a step in two phases")
    for node in (*file.every(*FUNCTIONS), *file.every(ast.For), *file.every(ast.While), *file.every(ast.If)):
        for suite in (getattr(node, "body", []), getattr(node, "orelse", [])):
            seen = 0
            for statement in suite:
                value = statement.value if isinstance(statement, ast.Expr) else None
                name = last_name(value.func) if isinstance(value, ast.Call) else ""
                if name == "backward":
                    seen += 1
                    if seen == 2:
                        yield file.evidence(statement, "a second backward before the step")
                elif name == "step":
                    seen = 0
