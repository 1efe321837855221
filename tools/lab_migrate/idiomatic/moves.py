"""Batches that the legacy code moves to the device itself: Lightning has moved them before `training_step`."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.roles import Roles


class Moves:
    """Which expressions of one loop's body are moves of a batch, or of a part of one.

    None are where Lightning leaves batches alone, because they are of a class of their `own`.
    """

    def __init__(self, loop: Batches, roles: Roles, *, own: bool = False) -> None:
        self.frame = loop.frame
        self.roles = roles
        self.names = {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
        if own:
            self.names = set()
            return
        for statement in loop.body:
            if isinstance(statement, ast.Assign) and self._is_part(statement.value):
                for target in statement.targets:
                    self.names |= {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}

    def inside(self, node: ast.expr) -> ast.expr | None:
        """What is moved, where `node` is a move that Lightning has done; else None."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and self._is_part(node.func.value):
            return node.func.value if self._is_move(node) else None
        if isinstance(node, ast.ListComp | ast.GeneratorExp) and len(node.generators) == 1:
            generator = node.generators[0]
            call = node.elt
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and isinstance(call.func.value, ast.Name)
                and isinstance(generator.target, ast.Name)
                and call.func.value.id == generator.target.id
                and not generator.ifs
                and self._is_move(call)
                and self._is_part(generator.iter)
            ):
                return generator.iter
        return None

    def is_identity(self, statement: ast.stmt) -> bool:
        """Whether a statement only gives parts of the batch their own names again, perhaps under an `if`."""
        if isinstance(statement, ast.If) and not statement.orelse and dotted(statement.test):
            return all(self.is_identity(node) for node in statement.body)
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            return False
        value = self._stripped(statement.value)
        return value is not None and ast.unparse(value) == ast.unparse(statement.targets[0])

    def _stripped(self, node: ast.expr) -> ast.expr | None:
        if isinstance(node, ast.Tuple | ast.List):
            parts = [self._stripped(one) for one in node.elts]
            return ast.Tuple([one for one in parts if one is not None], ast.Load()) if all(parts) else None
        return self.inside(node)

    def _is_part(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.names
        if isinstance(node, ast.Tuple):
            return all(self._is_part(one) for one in node.elts)
        if isinstance(node, ast.Subscript):
            return isinstance(node.slice, ast.Constant) and self._is_part(node.value)
        inner = self.inside(node)
        return inner is not None

    def _is_move(self, call: ast.Call) -> bool:
        assert isinstance(call.func, ast.Attribute)
        if any(word.arg not in ("non_blocking", "device") for word in call.keywords):
            return False
        if call.func.attr == "cuda":
            return len(call.args) <= 1
        if call.func.attr != "to":
            return False
        given: Iterable[ast.expr] = [*call.args, *(word.value for word in call.keywords if word.arg == "device")]
        return len(list(given)) == 1 and all(is_device(one, self.frame.canonical(one), self.roles) for one in given)


def is_device(node: ast.expr, canonical: str, roles: Roles) -> bool:
    """Whether an expression is the device that the training runs on."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.startswith("cuda")
    return bool(canonical) and (canonical in roles.devices or dotted(node).endswith("device"))
