"""The momentum coefficient: how much of its old value the buffer keeps."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.moments import moments
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.words import number

PHASES = ("optimizer",)


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the settings where both sides show them, else fitted on the state."""
    for setting in scene.setting("momentum", "mu"):
        yield Cause(
            "momentum",
            f"The momentum is {setting.b} instead of {setting.a}.",
            setting.name,
            size=setting.b if isinstance(setting.b, (int, float)) else None,
            freedom=0 if scene.steady(setting) else 2,
            read=True,
            affected=setting.parameters,
            evidence=("both values were read from the optimizers",),
        )
    if scene.settings:
        return
    for moment in moments(scene):
        if not moment.differs:
            continue
        if moment.identified and moment.order == 1 and set(moment.change) == {"old"}:
            a, b = (moment.of("old", side) for side in ("legacy", "migrated"))
            yield Cause(
                "momentum",
                f"The momentum is {number(b)} instead of {number(a)}: {moment.field} keeps that part of its old value.",
                "momentum",
                moment.fit,
                0.0 if abs(b) < 1e-6 else b,
                1,
                affected=moment.names,
            )
        return
