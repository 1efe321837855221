"""Optimizers in a wrapper of the project's own, whose step is a few lines around the inner optimizer's."""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.nest import Nest


@attrs.define(eq=False)
class Wrapper:
    """`inner` is the attribute that holds PyTorch's optimizer; `before` and `after` are what surrounds its step."""

    inner: str
    method: str
    before: list[Item]
    after: list[Item]


def wrapper_of(name: str, nest: Nest, graph: CallGraph) -> Wrapper | None:
    """The wrapper that the base frame knows by `name`; None where it is no class of the project, or does more."""
    if ":" in name:
        return None  # made inside a function that the epochs call
    methods = {reach.event.node.func.attr for reach in nest.training.step  # type: ignore[attr-defined]
               if reach.direct and nest.train.frame.canonical(reach.event.receiver) == name}  # fmt: skip
    classes = graph.types(nest.base.function, ast.parse(name, mode="eval").body)
    if len(methods) != 1 or len(classes) != 1:
        return None
    cls, method = classes[0], methods.pop()
    if any("Optimizer" in base.rpartition(".")[2] for one in graph.lineage(cls) for base in one.bases):
        return None
    step, zero = graph.find_method(cls, method), graph.find_method(cls, "zero_grad")
    if step is None or zero is None or len(step.parameters) != 1:
        return None
    frame = Frame(step, nest.base, {step.parameters[0]: ast.parse(name, mode="eval").body})
    statements = [node for node in step.body if not _is_docstring(node)]
    places = [at for at, node in enumerate(statements) if _inner(node, step.parameters[0], "step")]
    if len(places) != 1 or any(not isinstance(node, ast.Expr | ast.Assign | ast.AugAssign) for node in statements):
        return None
    inner = _inner(statements[places[0]], step.parameters[0], "step")
    zeroed = [_inner(node, zero.parameters[0], "zero_grad") for node in zero.body if not _is_docstring(node)]
    if zeroed != [inner]:
        return None
    items = [Item(frame, node) for node in statements]
    return Wrapper(inner, method, items[: places[0]], items[places[0] + 1 :])


def _inner(node: ast.stmt, this: str, method: str) -> str:
    """`x` in `self.x.step()`."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call) or node.value.args or node.value.keywords:
        return ""
    head, _, rest = dotted(node.value.func).partition(".")
    inner, _, called = rest.rpartition(".")
    return inner if head == this and called == method and "." not in inner else ""


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
