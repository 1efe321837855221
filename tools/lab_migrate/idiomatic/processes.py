"""Trainings that start or join processes of their own, or catch what Lightning catches or raises otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError
from lab_migrate.idiomatic.related import related

_DISTRIBUTED = ("DistributedDataParallel", "init_process_group", "DistributedSampler", "DDP", "FSDP", "Accelerator",
                "FullyShardedDataParallel", "all_reduce")  # fmt: skip
#: Those that stay beside Lightning's strategy.
_STAY = ("DistributedDataParallel", "init_process_group", "DistributedSampler", "DDP", "all_reduce")


def refuse_processes(nest: Nest, graph: CallGraph, *, distributed: bool) -> None:
    """Raises `NotIdiomaticError` where the base frame or the batches set up processes, or catch an interruption.

    `distributed` where Lightning's strategy takes over what it can.
    """
    if not distributed:
        _refuse_joined(nest, graph)
    _refuse_caught(nest, graph)
    for frame in nest.frames:
        for node in frame.function.own:
            name = dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in _DISTRIBUTED and not (distributed and name in _STAY):
                raise NotIdiomaticError(
                    "LM302", frame.module.path, node, f"{dotted(node.func)}() sets up processes, which are Lightning's",
                    "take the set-up out and name a strategy to the Trainer, or keep the faithful way",
                )  # fmt: skip


def _refuse_caught(nest: Nest, graph: CallGraph) -> None:
    """An interruption, or a name without a value, that the training's own code catches, or what calls it.

    The Trainer ends at an interruption; a local that has no value becomes an attribute, which is another error.
    """
    for module in related(nest.base.module, graph.project):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and dotted(node.func) == "signal.signal":
                raise NotIdiomaticError(
                    "LM302", module.path, node, "it handles signals itself, which the Trainer does beside it",
                    "keep the faithful way, or leave signals to the Trainer's callbacks",
                )  # fmt: skip
    for function, handler, around in _handlers(nest, graph):
        caught = ast.unparse(handler.type) if handler.type else "BaseException"
        if around and any(name in caught for name in ("KeyboardInterrupt", "BaseException", "SystemExit")):
            raise NotIdiomaticError(
                "LM302", function.path, handler,
                f"{function.qualified} catches an interruption, which the Trainer ends",
                "keep the faithful way, or let the Trainer handle Ctrl-C",
            )  # fmt: skip
        if any(name in caught for name in ("UnboundLocalError", "NameError", "AttributeError")):
            raise NotIdiomaticError(
                "LM302", function.path, handler,
                f"{function.qualified} catches {caught}: a name without a value becomes an attribute, whose error is "
                "another",
                "give the name a value before the loop, or keep the faithful way",
            )  # fmt: skip


def _handlers(nest: Nest, graph: CallGraph) -> Iterator[tuple[Function, ast.ExceptHandler, bool]]:
    """Handlers in the loop, and those around it, in its function and in those that call it."""
    inside = {id(node) for node in own_nodes([nest.epochs])}
    for frame in nest.frames:
        for node in frame.function.own:
            if isinstance(node, ast.Try) and (frame is not nest.base or id(node) in inside):
                yield from ((frame.function, handler, False) for handler in node.handlers)
    yield from _handlers_around(nest.base.function, nest.epochs)
    seen = {id(nest.base.function)}
    queue = [nest.base.function]
    while queue:
        for call in graph.callers_of(queue.pop()):
            yield from _handlers_around(call.caller, call.node)
            if id(call.caller) not in seen:
                seen.add(id(call.caller))
                queue.append(call.caller)


def _handlers_around(function: Function, inner: ast.AST) -> Iterator[tuple[Function, ast.ExceptHandler, bool]]:
    for node in function.own:
        if isinstance(node, ast.Try) and any(one is inner for part in node.body for one in ast.walk(part)):
            yield from ((function, handler, True) for handler in node.handlers)


def _refuse_joined(nest: Nest, graph: CallGraph) -> None:
    """A group that is joined elsewhere in the file, or in one that it imports: each process has a device of its own."""
    base = nest.base.module
    homes = {full.rpartition(".")[0] for full in base.symbols.imports.values()} | set(base.symbols.imports.values())
    for module in graph.project.modules.values():
        if module is not base and module.name not in homes:
            continue
        for node in ast.walk(module.tree):
            name = dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
            full = module.symbols.imports.get(name, name).rpartition(".")[2]
            if full in ("init_process_group", "DistributedDataParallel"):
                place = f"{module.path}:{getattr(node, 'lineno', 0)}"
                raise NotIdiomaticError(
                    "LM302", base.path, nest.epochs, f"it may train in several processes ({full}() at {place})",
                    "keep the faithful way, or make one function join the group, wrap the model and train",
                )  # fmt: skip
