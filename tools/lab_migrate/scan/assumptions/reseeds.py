"""Generators are seeded again in the course of training

Between steps, per epoch, per worker or in a sampler: what was drawn before then matters no longer, on either side.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView

FAITHFUL = "stays"
IDIOMATIC = "stays"
_SEEDS = (
    "torch.manual_seed", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all", "numpy.random.seed",
    "random.seed", "torch.random.manual_seed", "torch.set_rng_state", "random.setstate",
    "numpy.random.set_state",
)  # fmt: skip


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """Seeding calls in what the loop reaches."""
    for file, node in loop.everywhere(ast.Call):
        if isinstance(node, ast.Call) and file.name(node.func) in _SEEDS:
            yield file.evidence(node)
