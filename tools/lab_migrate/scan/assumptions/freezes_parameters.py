"""Parameters are frozen and thawed in the course of training

`requires_grad` toggled between passes, as for a discriminator, or at an epoch: Lightning's `toggle_optimizer` does it
differently.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.syntax import last_name

FAITHFUL = "stays in the step"
IDIOMATIC = "stays in the step, under manual optimization"
_SWITCHES = ("requires_grad_", "requires_grad", "set_requires_grad")


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """`.requires_grad = …` and `requires_grad_(…)` on modules or parameters in what the loop reaches."""
    for file, node in loop.everywhere(ast.Assign, ast.Call):
        if isinstance(node, ast.Assign):
            if any(isinstance(target, ast.Attribute) and target.attr == "requires_grad" for target in node.targets):
                yield file.evidence(node)
        elif isinstance(node, ast.Call) and last_name(node.func) in _SWITCHES:
            function = file.function(node)
            made_here = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call)
            if (node.args or node.keywords) and not made_here and (function is None or function.name != "forward"):
                yield file.evidence(node)
