"""Parameters are updated by hand, without a torch optimizer

There is no optimizer that Lightning could step or show; the update stays in the step, and its state is saved as what
the loop carries.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView

FAITHFUL = "stays in the step; each iteration counts as one of Lightning's steps"
IDIOMATIC = "refused: put the update into the step() of a torch.optim.Optimizer first"


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """The first line of each update that the loop reaches."""
    for reach in loop.loop.step:
        if reach.event.by_hand:
            yield loop.file_of(reach.path).evidence(reach.event.node)
