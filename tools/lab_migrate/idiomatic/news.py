"""What a data set is told before an epoch: worker processes that have been started already do not hear of it.

Lightning asks the loader for its iterator, which starts its workers, before `on_train_epoch_start` of the first epoch
and before `on_validation_epoch_start`.
"""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import own_nodes
from lab_migrate.findings import shown
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.frame import Item
from lab_migrate.idiomatic.makings import Making, makings_of
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError

#: What a loader asks while it is iterated over, and where it stands among its arguments.
_ASKED = {"dataset": 0, "sampler": 3, "batch_sampler": 4, "collate_fn": 6}


def refuse_late_news(item: Item, loop: Batches, nest: Nest, graph: CallGraph) -> None:
    """Raises `NotIdiomaticError` where a statement changes, or may, what a loader with workers reads from."""
    found = [makings_of(loader, nest, graph) for loader in loop.entries]
    makings = [made for one in found for made in one]
    if all(found) and not any(_has_workers(made) for made in makings):
        return
    names = {loader.partition("[")[0] for loader in loop.entries}
    for made in makings:
        if made.owner is nest.base.function:
            words = made.words() or {}
            asked = [words[word] for word in _ASKED if word in words]
            asked += [made.call.args[at] for at in _ASKED.values() if at < len(made.call.args)]
            names |= {node.id for part in asked for node in ast.walk(part) if isinstance(node, ast.Name)}
    for node in own_nodes([item.node]):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            parts = [node]
        elif isinstance(node, ast.Call):
            parts = [node.func] if isinstance(node.func, ast.Attribute) else []
            parts += [one for one in [*node.args, *(word.value for word in node.keywords)] if isinstance(one, ast.Name)]
        for part in parts:
            if item.frame.canonical(_root(part)) in names and not _is_length(node):
                raise NotIdiomaticError(
                    "LM304", item.frame.module.path, item.node,
                    f"{shown(part)} before the batches: the loader's workers have been started by then",
                    "tell the data set at the end of the epoch before, or keep the faithful way",
                )  # fmt: skip


def _has_workers(made: Making) -> bool:
    words = made.words()
    if words is None:
        return True
    given = words.get("num_workers", made.call.args[5] if len(made.call.args) > 5 else None)
    return given is not None and not (isinstance(given, ast.Constant) and given.value == 0)


def _is_length(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("len", "print", "str")


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
