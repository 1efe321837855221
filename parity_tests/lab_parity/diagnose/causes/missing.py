"""Parameters that only one side's optimizer knows, or knows later."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.settled import idle_of, parameters_of
from lab_parity.phases import PHASES as ALL
from lab_parity.record.naming import UNNAMED

PHASES = ALL


def find(scene: Scene) -> Iterator[Cause]:
    """Read from both sides' parameter groups; tied weights are told by `tied`."""
    yield from _later(scene)
    for label, (a, b) in parameters_of(scene).items():
        for mine, other, side, run in ((a, b, "migrated", scene.legacy), (b, a, "legacy", scene.migrated)):
            idle = idle_of(run.history, scene.first.step)
            parts = {part for name in other for part in name.split("|")}
            lost = [name for name in mine if not set(name.split("|")) & parts and name not in idle]
            known = {part for name in mine for part in name.split("|")}
            # Where both have names of their own, the parameters are called otherwise, which says nothing of them.
            replaced = sorted(part for part in parts - known if part.startswith(UNNAMED))
            if lost and other and len(lost) < len(mine) and parts - {*replaced} <= known:
                instead = f"; it has {len(replaced)} instead that no module holds" if replaced else ""
                yield Cause(
                    "missing",
                    f"The {side} optimizer {label} does not know {which(lost, mine)}: they are never updated{instead}.",
                    "the parameters given to the optimizer",
                    affected=tuple(lost),
                    evidence=(f"{len(mine)} parameters on one side, {len(other)} on the other",),
                )


def _later(scene: Scene) -> Iterator[Cause]:
    """A group that one side adds some steps after the other: by the divergence both have it."""
    last = parameters_of(scene)
    sides = scene.legacy.history.steps, scene.migrated.history.steps
    for a, b in zip(*(side[: scene.first.step] for side in sides), strict=False):
        mine, other = set(a.parameters), set(b.parameters)
        # Before a group is added, the two sides' names may leave out other prefixes.
        if a.optimizer not in last or a.optimizer != b.optimizer or not (mine < other or other < mine):
            continue
        side, place = ("migrated", 1) if other < mine else ("legacy", 0)
        more, less = (mine, other) if other < mine else (other, mine)
        late = [name for name in last[a.optimizer][place] if name in more - less - {*a.idle, *b.idle}]
        if late:
            yield Cause(
                "missing",
                f"The {side} optimizer {a.optimizer} does not know {which(late, sorted(more))} yet at step {a.step}, "
                "where the other one does.",
                "when parameters are given to the optimizer (add_param_group)",
                affected=tuple(late),
                evidence=(f"{len(more)} parameters on one side, {len(less)} on the other at step {a.step}",),
            )
        return
