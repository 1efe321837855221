"""Calls where no gradients are taken: whatever they may lead to, it is no backward pass.

An evaluator shares its steps with the trainer (handlers, runners), so that by its calls alone its loop may look like a
training loop.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from lab_migrate.analysis.calls import Call, CallGraph
from lab_migrate.analysis.followed import followed
from lab_migrate.analysis.symbols import Function, dotted

__all__ = ["GradientsOff"]

_OFF = ("no_grad", "inference_mode")
_ON = ("enable_grad", "set_grad_enabled")


class GradientsOff:
    """Of the calls of a project, which are made under `torch.no_grad()` and turn gradients on nowhere."""

    def __init__(self, graph: CallGraph) -> None:
        self.graph = graph
        self._under: dict[int, set[int]] = {}
        self._on: dict[int, bool] = {}

    def at(self, call: Call) -> bool:
        """Whether a call takes no gradients."""
        key = id(call.caller)
        if key not in self._under:
            self._under[key] = _under(call.caller)
        return id(call.node) in self._under[key] and not any(self._turns_on(target) for target in call.targets)

    def _turns_on(self, function: Function) -> bool:
        """Whether a function, or what it calls, takes gradients again."""
        if id(function) not in self._on:
            every = followed(function, self._called)
            self._on[id(function)] = any(_names([*one.own, *_decorators(one)], _ON) for one in every)
        return self._on[id(function)]

    def _called(self, function: Function) -> list[Function]:
        return [target for call in self.graph.calls_of(function) for target in call.targets]


def _under(function: Function) -> set[int]:
    """The nodes of a function that stand under `torch.no_grad()`; none where it turns gradients on itself."""
    if _names(function.own, _ON):
        return set()
    if _names(_decorators(function), _OFF):
        return {id(node) for node in function.own}
    blocks = (node for node in function.own if isinstance(node, ast.With | ast.AsyncWith))
    return {
        id(node)
        for block in blocks
        if any(isinstance(one.context_expr, ast.Call) and _names([one.context_expr.func], _OFF) for one in block.items)
        for statement in block.body
        for node in ast.walk(statement)
    }


def _decorators(function: Function) -> list[ast.expr]:
    listed = getattr(function.node, "decorator_list", [])
    return [node.func if isinstance(node, ast.Call) else node for node in listed]


def _names(nodes: Iterable[ast.AST], names: tuple[str, ...]) -> bool:
    return any(
        isinstance(node, ast.Name | ast.Attribute) and dotted(node).rpartition(".")[2] in names for node in nodes
    )
