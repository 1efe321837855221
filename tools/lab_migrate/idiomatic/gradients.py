"""Gradients that the legacy code looks at, or adds to, while Lightning zeroes at moments of its own.

Lightning zeroes after the forward pass and before a validation; the legacy code before the forward pass, or right after
the step. Only who reads a gradient in between sees a difference.
"""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.events import ZERO, events_in
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.batch import Automatic
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.reach import reached
from lab_migrate.idiomatic.refused import ManualOptimizationError, NotIdiomaticError


def refuse_looks_at_gradients(nest: Nest, batch: Automatic, graph: CallGraph) -> None:
    """Raises `ManualOptimizationError`."""
    frame = nest.train.frame
    parts: list[tuple[Frame, list[ast.stmt]]] = [(frame, batch.step), (frame, batch.tail)]
    parts += [(item.frame, [item.node]) for item in nest.items]
    if nest.validation is not None:
        parts.append((nest.validation.frame, nest.validation.body))
    for where, body in parts:
        found = reached(body, where, graph, _looks)
        if found is not None:
            raise ManualOptimizationError(found, "a gradient is read where Lightning has zeroed it, or not yet")


def refuse_gradients_from_before(nest: Nest, graph: CallGraph) -> None:
    """Raises `NotIdiomaticError` where a batch may add to gradients made before the first: a fit zeroes them."""
    events = sorted(events_in(own_nodes(nest.train.body)), key=lambda event: (event.line, event.column))
    if not events or events[0].kind == ZERO or any(_zeroes(item) for item in nest.before):
        return
    for item in _above(nest):
        found = reached([item.node], item.frame, graph, _goes_back)
        if found is not None:
            raise NotIdiomaticError(
                "LM302", item.frame.module.path, found, "gradients made before the first batch may count in it",
                "zero the gradients before the loop over epochs, or keep the faithful way",
            )  # fmt: skip


def leaves_zeroed(nest: Nest, graph: CallGraph) -> bool:
    """Whether the loop leaves its gradients zeroed, which Lightning does not, and what comes later may see them.

    It does by looking, by going back, or by another training.
    """
    events = sorted(events_in(own_nodes(nest.train.body)), key=lambda event: (event.line, event.column))
    if not events or events[-1].kind != ZERO:
        return False
    after = [node for node in nest.base.function.own if getattr(node, "lineno", 0) > (nest.epochs.end_lineno or 0)]
    statements = [node for node in after if isinstance(node, ast.stmt)]
    if reached(statements, nest.base, graph, _sees) is not None:
        return True
    ours = [frame.function for frame in nest.frames]
    others = (one for one in nest.base.module.symbols.functions if not any(one is our for our in ours))
    return any(_sees(node, one) for one in others for node in one.own)


def _sees(node: ast.AST, within: Function) -> bool:
    fits = isinstance(node, ast.Attribute) and node.attr == "fit"
    return fits or _looks(node, within) or _goes_back(node, within)


def refuse_gradients_in_validation(items: list[Item], graph: CallGraph) -> None:
    """Raises `NotIdiomaticError` where code around a validation goes back: its hooks run without gradients."""
    for item in items:
        found = reached([item.node], item.frame, graph, _takes_gradients)
        if found is not None:
            raise NotIdiomaticError(
                "LM302", item.frame.module.path, found, "gradients are taken beside the validation's batches, where "
                "Lightning computes none",
                "take them in a function of its own, or keep the faithful way",
            )  # fmt: skip


def _takes_gradients(node: ast.AST, within: Function) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = dotted(node.func)
    wanted = any(word.arg == "requires_grad" for word in node.keywords)
    return wanted or name.endswith("autograd.grad") or name.rpartition(".")[2] in ("backward", "requires_grad_")


def _looks(node: ast.AST, within: Function) -> bool:
    reads = isinstance(node, ast.Attribute) and node.attr == "grad" and isinstance(node.ctx, ast.Load)
    return reads and not dotted(node).endswith("autograd.grad")


def _goes_back(node: ast.AST, within: Function) -> bool:
    return isinstance(node, ast.Attribute) and (
        node.attr == "backward" or (node.attr == "grad" and isinstance(node.ctx, ast.Store))
    )


def _zeroes(item: Item) -> bool:
    return any(event.kind == ZERO for event in events_in([item.node, *ast.iter_child_nodes(item.node)]))


def _above(nest: Nest) -> list[Item]:
    """Simple statements of the base frame above its epochs, since the last that zeroes, and those above the batches."""
    inside = {id(node) for node in own_nodes([nest.epochs])}
    found: list[Item] = []
    for node in nest.base.function.own:
        if not isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.AnnAssign) or id(node) in inside:
            continue
        if node.lineno < nest.epochs.lineno:
            item = Item(nest.base, node)
            found = [] if _zeroes(item) else [*found, item]
    return [*found, *nest.before]
