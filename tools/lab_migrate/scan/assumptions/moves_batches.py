"""The code moves its batches to the device itself

Lightning moves what a loader yields before the step sees it; a second move does nothing, a missing one fails.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.kinds import is_batch_move
from lab_migrate.scan.loop_view import LoopView

FAITHFUL = "stays in the step"
IDIOMATIC = "goes: Lightning moves the batch"


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """Moves of tensors in the body and in what it calls, less those inside a module's `forward`."""
    for file, node in loop.everywhere(ast.Call):
        assert isinstance(node, ast.Call)
        function = file.function(node)
        if function is not None and function.name in ("forward", "__init__"):
            continue
        if is_batch_move(file, node):
            yield file.evidence(node)
