"""The data divides itself among processes or workers

A dataset or loader that takes every n-th item by its rank must not be sharded again by a distributed sampler.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "kept; the Trainer is told use_distributed_sampler=False"
IDIOMATIC = "kept, use_distributed_sampler=False"
_RANK = ("rank", "local_rank", "worker_id", "shard_id", "ddp_rank", "process_index", "get_rank")


def find(file: SourceFile) -> Iterator[Evidence]:
    """`get_worker_info()`, and slices `[rank::world_size]` of data."""
    yield from (file.evidence(call) for call in file.calls("get_worker_info"))
    for node in file.every(ast.Subscript):
        assert isinstance(node, ast.Subscript)
        if isinstance(node.slice, ast.Slice) and node.slice.step is not None and _is_rank(node.slice.lower):
            yield file.evidence(node)


def _is_rank(node: ast.expr | None) -> bool:
    return node is not None and any(
        (isinstance(part, ast.Name) and part.id in _RANK) or (isinstance(part, ast.Attribute) and part.attr in _RANK)
        for part in ast.walk(node)
    )
