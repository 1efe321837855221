"""The code sets up its own distributed training

Lightning's strategy starts the processes, joins them and reduces gradients; a second set-up joins a group that is
there already, or wraps a model twice.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "kept: every process runs its own Lightning loop, and the code goes on reducing"
IDIOMATIC = "replaced by a Lightning strategy"
_NAMES = (
    "init_process_group", "DistributedDataParallel", "DDP", "DataParallel", "FullyShardedDataParallel", "FSDP",
    "fully_shard", "DistributedOptimizer", "spawn", "all_reduce", "init_distributed", "Accelerator",
)  # fmt: skip
_HOMES = ("torch.", "horovod.", "apex.", "deepspeed.", "accelerate.", "fairscale.")


def find(file: SourceFile) -> Iterator[Evidence]:
    """Calls into the libraries that spread a training; `deepspeed.initialize`."""
    for call in file.calls(*_NAMES, "initialize"):
        name = file.name(call.func)
        if name.startswith(_HOMES) and (call_name(call) != "initialize" or name.startswith("deepspeed")):
            yield file.evidence(call)


def call_name(call: ast.Call) -> str:
    """The last name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
