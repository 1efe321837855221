"""The learning rate is written into param_groups by hand

Before the step or after it, per step or per batch: that order decides on every update. A scheduler of Lightning's
with `interval="epoch"`, the default, changes it elsewhere (naive migration: hyper@0).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "stays in the step"
IDIOMATIC = "on_train_batch_start, or a LambdaLR with interval='step'"
_FIELDS = ("lr", "weight_decay", "momentum", "betas", "beta1")


def find(file: SourceFile) -> Iterator[Evidence]:
    """Assignments to `group["lr"]` and its like, where the group comes out of `param_groups`."""
    for node in (*file.every(ast.Assign), *file.every(ast.AugAssign)):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
        )
        for target in targets:
            if (
                isinstance(target, ast.Subscript)
                and isinstance(target.slice, ast.Constant)
                and target.slice.value in _FIELDS
                and _is_group(file, target.value)
            ):
                yield file.evidence(node)


def _is_group(file: SourceFile, node: ast.expr) -> bool:
    """`opt.param_groups[0]`, or a loop variable over `param_groups`."""
    if "param_groups" in ast.unparse(node):
        return True
    if not isinstance(node, ast.Name):
        return False
    return any(
        isinstance(above, ast.For) and "param_groups" in ast.unparse(above.iter) and _binds(above.target, node.id)
        for above in file.parents(node)
    )


def _binds(target: ast.expr, name: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(target))
