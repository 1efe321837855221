"""Several optimizers: another one steps than on the other side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.history import PastStep
from lab_parity.diagnose.scene import Scene

PHASES = ("optimizer",)


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the optimizers' labels in both traces."""
    step = scene.first.step
    sides = scene.legacy.history.steps, scene.migrated.history.steps
    if any(step >= len(side) for side in sides) or sides[0][step].optimizer == sides[1][step].optimizer:
        return
    a, b = (side[step].optimizer for side in sides)
    yield Cause(
        "turns",
        f"At step {step} {a} steps in the legacy run, {b} in the migrated one; the optimizers take turns as "
        f"{_turns(sides[0])} against {_turns(sides[1])}.",
        "how many steps each optimizer takes in turn (n_critic), and in which order",
        read=True,
        evidence=("optimizers are numbered by their first steps, in both traces",),
    )


def _turns(steps: Sequence[PastStep], shown: int = 6) -> str:
    labels = [past.optimizer for past in steps[:shown]]
    return ", ".join(labels) + (", …" if len(steps) > shown else "")
