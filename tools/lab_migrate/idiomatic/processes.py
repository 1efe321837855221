"""Trainings that start or join processes of their own, or catch what Lightning catches."""

from __future__ import annotations

import ast

from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import NotIdiomaticError

_DISTRIBUTED = ("DistributedDataParallel", "init_process_group", "DistributedSampler", "DDP", "FSDP", "Accelerator",
                "FullyShardedDataParallel", "all_reduce")  # fmt: skip
#: Those that stay beside Lightning's strategy.
_STAY = ("DistributedDataParallel", "init_process_group", "DistributedSampler", "DDP", "all_reduce")


def refuse_processes(nest: Nest, *, distributed: bool) -> None:
    """Raises `NotIdiomaticError` where the base frame or the batches set up processes, or catch an interruption.

    `distributed` where Lightning's strategy takes over what it can.
    """
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
