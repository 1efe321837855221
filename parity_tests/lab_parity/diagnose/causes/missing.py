"""Parameters that only one side's optimizer knows."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.settled import idle_of, parameters_of
from lab_parity.phases import PHASES as ALL

PHASES = ALL


def find(scene: Scene) -> Iterator[Cause]:
    """Read from both sides' parameter groups; tied weights are told by `tied`."""
    for label, (a, b) in parameters_of(scene).items():
        for mine, other, side, run in ((a, b, "migrated", scene.legacy), (b, a, "legacy", scene.migrated)):
            idle = idle_of(run.history, scene.first.step)
            parts = {part for name in other for part in name.split("|")}
            lost = [name for name in mine if not set(name.split("|")) & parts and name not in idle]
            known = {part for name in mine for part in name.split("|")}
            # Where both have names of their own, the parameters are called otherwise, which says nothing of them.
            if lost and other and parts <= known:
                yield Cause(
                    "missing",
                    f"The {side} optimizer {label} does not know {which(lost, mine)}: they are never updated.",
                    "the parameters given to the optimizer",
                    affected=tuple(lost),
                    evidence=(f"{len(mine)} parameters on one side, {len(other)} on the other",),
                )
