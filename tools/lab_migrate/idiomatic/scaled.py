"""The four calls of a loss scaler, in the order that is Lightning's: scale, perhaps unscale, step, update."""

from __future__ import annotations

import ast
from collections.abc import Collection

from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.refused import ManualOptimizationError


class Scaled:
    """What a batch did with its scaler so far. `name` is how the base frame calls it; empty: there is none."""

    def __init__(self, name: str, frame: Frame) -> None:
        self.name, self.frame = name, frame
        self.did: list[str] = []

    def loss(self, value: ast.expr, node: ast.stmt) -> ast.expr:
        """The loss in `scaler.scale(loss).backward()`. Raises `ManualOptimizationError` where it is not scaled."""
        if not self.name:
            return value
        if self._is("scale", value) and isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords:
            self.did.append("scale")
            return value.args[0]
        raise ManualOptimizationError(node, "the loss is not scaled where it goes back")

    def steps(self, call: ast.Call, optimizers: Collection[str]) -> bool:
        """Whether a call is `scaler.step(optimizer)`."""
        steps = bool(self.name) and self._is("step", call) and len(call.args) == 1
        if steps and self.frame.canonical(call.args[0]) in optimizers:
            self.did.append("step")
            return True
        return False

    def statement(self, node: ast.stmt, place: str, with_step: bool) -> bool:
        """Whether a statement unscales or updates, where Lightning does."""
        if not self.name or not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            return False
        for method, after in (("unscale_", "backward"), ("update", "stepped")):
            if self._is(method, node.value):
                if (
                    place != after
                    or method in self.did
                    or not with_step
                    or len(node.value.args) > (method == "unscale_")
                ):
                    raise ManualOptimizationError(node, f"{self.name}.{method}() is called at another place")
                self.did.append(method)
                return True
        return False

    def check(self, clips: bool, node: ast.stmt) -> None:
        """Raises `ManualOptimizationError` where a call is missing."""
        if not self.name:
            return
        wanted = ["scale", *(["unscale_"] if clips or "unscale_" in self.did else []), "step", "update"]
        if self.did != wanted:
            raise ManualOptimizationError(node, f"{self.name} is not used as Lightning uses its own")

    def _is(self, method: str, value: ast.expr) -> bool:
        return (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr == method
            and self.frame.canonical(value.func.value) == self.name
        )
