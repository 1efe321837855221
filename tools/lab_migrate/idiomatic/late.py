"""What happens between the making of an optimizer or schedule and the epochs, and would come before it once it moved.

optimizer = SGD(model.parameters(), args.lr)
model.head = Linear(8, 2)              # not in the optimizer; it would be, were the optimizer made at the fit
args.lr = 0.1                          # nor is this its rate
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.nest import Nest

#: What a function is called that only looks at a model.
_LOOKS = ("summary", "count", "print", "save", "watch", "graph", "info", "param", "flop", "len", "type", "instance")


def changed_late(
    statement: ast.stmt,
    needs: Collection[str],
    optimizers: Collection[str],
    nest: Nest,
    graph: CallGraph,
    ours: Collection[int],
) -> bool:
    """Whether something between `statement` and the epochs may change what it was made from.

    `needs` are the names that it reads, `optimizers` those among them whose settings a schedule reads when it is made,
    `ours` the `id`s of code that moves with it.
    """
    end, epochs = statement.end_lineno or statement.lineno, nest.epochs.lineno
    late = [
        node for node in nest.base.function.own if end < getattr(node, "lineno", 0) < epochs and id(node) not in ours
    ]
    for node in late:
        if isinstance(node, ast.Name) and node.id in optimizers:
            return True
        # `for p in model.backbone.parameters(): p.requires_grad = False`: a filter would leave them out by then.
        if isinstance(node, ast.Attribute) and _freezes(node):
            return True
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store) and _root(node) in needs:
            return True
    return any(
        dotted(arg) in needs and not _only_looks(node, at, nest.base.function, graph)
        for node in late
        if isinstance(node, ast.Call)
        for at, arg in enumerate(node.args)
    )


def _freezes(node: ast.Attribute) -> bool:
    return node.attr == "requires_grad_" or (node.attr == "requires_grad" and isinstance(node.ctx, ast.Store))


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _only_looks(call: ast.Call, at: int, function: Function, graph: CallGraph) -> bool:
    """Whether a call leaves the parts of its argument number `at` what they are."""
    name = dotted(call.func).rpartition(".")[2]
    if name[:1].isupper() or any(word in name.lower() for word in _LOOKS):
        return True  # a class is made with it
    targets = [target for one in graph.calls_of(function) if one.node is call for target in one.targets]
    return bool(targets) and not any(_stores_below(target, at) for target in targets)


def _stores_below(function: Function, at: int) -> bool:
    """Whether a function assigns to a part of its parameter number `at`, or hands it on by name to do so."""
    parameters = function.parameters[1:] if function.cls is not None and not function.is_static else function.parameters
    if at >= len(parameters):
        return True
    given = parameters[at]
    return any(
        (isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store) and _root(node) == given)
        or (isinstance(node, ast.Call) and dotted(node.func) == "setattr")
        for node in function.own
    )
