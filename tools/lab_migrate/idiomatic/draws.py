"""Statements that draw random numbers where Lightning has already asked a loader for its iterator, which draws too.

Lightning makes the training loader's iterator before `on_train_epoch_start`, and the validation loader's before
`on_validation_epoch_start`. What comes before the batches in the legacy code and draws, seeds or tells the loader of
the epoch would come too late there.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError
from lab_migrate.idiomatic.roles import Roles

#: What a name that draws random numbers, or moves a sampler on, is called.
_DRAWS = ("rand", "seed", "shuffle", "sample", "perm", "next", "set_epoch")
#: How many calls down a draw is looked for.
_DEEPEST = 4


def refuse_early_draws(nest: Nest, roles: Roles, dropped: Collection[int], graph: CallGraph) -> None:
    """Raises `NotIdiomaticError` where something draws between an epoch's start, or training, and the next batches."""
    phases: list[tuple[list[Item], Batches | None]] = [(nest.before, nest.train), (nest.between, nest.validation)]
    for items, loop in phases:
        for item in items:
            if loop is not None and id(item.node) not in dropped:
                _refuse(item, loop, roles, graph)


def _refuse(item: Item, loop: Batches, roles: Roles, graph: CallGraph) -> None:
    loader = f"{loop.frame.canonical(loop.loader)}."
    for node in own_nodes([item.node]):
        if not isinstance(node, ast.Call):
            continue
        if item.frame.canonical(node.func).startswith(loader):
            raise NotIdiomaticError(
                "LM304", item.frame.module.path, item.node,
                f"{dotted(node.func).lower()}() tells the loader of the epoch: Lightning has asked it for its iterator "
                "by then",
                "let the loader's iterator do it, or keep the faithful way",
            )  # fmt: skip
    name = _drawn([item.node], item.frame, roles, graph)
    if name:
        raise NotIdiomaticError(
            "LM304", item.frame.module.path, item.node,
            f"{name}() before the batches: Lightning has asked the loader for its iterator by then",
            "draw after the batches, or keep the faithful way",
        )  # fmt: skip


def _drawn(body: list[ast.stmt], frame: Frame, roles: Roles, graph: CallGraph) -> str:
    """The name of a call that draws; empty where there is none. A model draws where it has dropout."""
    called: set[int] = set()
    for node in own_nodes(body):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if _says_so(name) or frame.canonical(node.func) in roles.models:
                return name
            called.add(id(node))
    for call in graph.calls_of(frame.function):
        if id(call.node) in called and call.direct:
            for target in call.targets:
                if _reaches_a_draw(target, graph, _DEEPEST, set()):
                    return dotted(call.node.func) if isinstance(call.node, ast.Call) else ""
    return ""


def _reaches_a_draw(function: Function, graph: CallGraph, deepest: int, seen: set[int]) -> bool:
    if id(function) in seen or not deepest:
        return False
    seen.add(id(function))
    if any(isinstance(node, ast.Call) and _says_so(dotted(node.func)) for node in function.own):
        return True
    return any(
        _reaches_a_draw(target, graph, deepest - 1, seen)
        for call in graph.calls_of(function)
        if call.direct
        for target in call.targets
    )


def _says_so(name: str) -> bool:
    return any(word in name.lower() for word in _DRAWS)
