"""Another optimizer: one of torch's classes on one side, another of them on the other."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Scene

PHASES = ("optimizer", "param")
_ONE_RULE = {"Adam", "AdamW"}
"""They differ by a setting, which `decay` knows."""


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the captured step; a class of the program's own may be called what it likes."""
    a, b = (run.now.kind if run.now is not None else "" for run in (scene.legacy, scene.migrated))
    if a == b or not all(kind.startswith("torch.optim.") for kind in (a, b)):
        return
    names = a.rpartition(".")[2], b.rpartition(".")[2]
    if set(names) != _ONE_RULE:
        yield Cause(
            "optimizer",
            f"The migrated optimizer is {names[1]}, the legacy one {names[0]}.",
            "class of the optimizer",
            freedom=-1,
            read=True,
            evidence=("classes of torch's own, read on both sides",),
        )
