"""Backward or the step stands in another function

In a method, a closure, a hook or a callable scaler: what a step is can only be told across files.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView

FAITHFUL = "stays there; the loop's body calls it as before"
IDIOMATIC = "stays there, under manual optimization"


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """The places of backward and step that the body reaches through calls."""
    for reach in (*loop.loop.backward, *loop.loop.step):
        if not reach.direct:
            file = loop.file_of(reach.path)
            yield file.evidence(reach.event.node, f"called from {reach.chain[0].split(' ')[0]}")
