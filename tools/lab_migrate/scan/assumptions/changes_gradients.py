"""Gradients are changed by hand between backward and step

Divided, reduced, frozen, given noise: under automatic optimization there is one place for it, and the unscaled
gradient is not there before.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.kinds import receiver
from lab_migrate.scan.syntax import FUNCTIONS, SourceFile, last_name

FAITHFUL = "stays in the step"
IDIOMATIC = "on_before_optimizer_step"
_IN_PLACE = ("div_", "mul_", "add_", "copy_", "zero_", "fill_", "nan_to_num_", "clamp_")


def find(file: SourceFile) -> Iterator[Evidence]:
    """In-place methods on `.grad`, assignments to it, reductions of it; not within optimizers."""
    for call in file.calls(*_IN_PLACE):
        if receiver(call).endswith((".grad", ".grad.data")) and not _is_zeroing(file, call):
            yield file.evidence(call)
    for call in file.calls("all_reduce", "reduce"):
        if call.args and ".grad" in ast.unparse(call.args[0]):
            yield file.evidence(call)
    for node in (*file.every(ast.Assign), *file.every(ast.AugAssign)):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
        )
        written = any(isinstance(target, ast.Attribute) and target.attr == "grad" for target in targets)
        if written and not _inside_optimizer(file, node):
            yield file.evidence(node)


def _is_zeroing(file: SourceFile, call: ast.Call) -> bool:
    return _inside_optimizer(file, call) or (last_name(call.func) in ("zero_", "fill_") and "zero" in file.scope(call))


def _inside_optimizer(file: SourceFile, node: ast.AST) -> bool:
    cls = file.class_of(node)
    if cls is None:
        return False
    return any("Optim" in last_name(base) for base in cls.bases) or any(
        isinstance(item, FUNCTIONS) and item.name in ("step", "zero_grad") for item in cls.body
    )
