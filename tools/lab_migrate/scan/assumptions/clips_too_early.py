"""Gradients are clipped before the backward pass that makes them

What is clipped is what was there before: zeros after `zero_grad`, or the gradients of the step before. The training
runs as if it were not clipped, and a migration that moved the line behind backward would train differently.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.syntax import last_name

FAITHFUL = "stays where it is, and does as little; perhaps a bug of the legacy code, to mend after the migration"
IDIOMATIC = "manual optimization, which keeps the line where it is"
_CLIPS = ("clip_grad_norm_", "clip_grad_norm", "clip_grad_value_", "clip_grad_value")


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """A call of torch's that stands above the loop's first backward pass, where none stands below it."""
    calls = [node for node in loop.body(ast.Call) if isinstance(node, ast.Call)]
    backwards = [call.lineno for call in calls if last_name(call.func) == "backward"]
    clips = [call for call in calls if last_name(call.func) in _CLIPS]
    if backwards and clips and all(call.lineno < min(backwards) for call in clips):
        yield from (loop.file.evidence(call) for call in clips)
