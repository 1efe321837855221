"""Trainings that start or join processes of their own, or catch what Lightning catches."""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError

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
    for frame in nest.frames:
        for node in frame.function.own:
            name = dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in _DISTRIBUTED and not (distributed and name in _STAY):
                raise NotIdiomaticError(
                    "LM302", frame.module.path, node, f"{dotted(node.func)}() sets up processes, which are Lightning's",
                    "take the set-up out and name a strategy to the Trainer, or keep the faithful way",
                )  # fmt: skip
            if isinstance(node, ast.Try) and any(one is nest.epochs for part in node.body for one in ast.walk(part)):
                caught = " ".join(ast.unparse(handler.type) for handler in node.handlers if handler.type)
                if "KeyboardInterrupt" in caught or any(handler.type is None for handler in node.handlers):
                    raise NotIdiomaticError(
                        "LM302", frame.module.path, node, "an interruption is caught around it, which the Trainer ends",
                        "keep the faithful way, or let the Trainer handle Ctrl-C",
                    )  # fmt: skip


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
