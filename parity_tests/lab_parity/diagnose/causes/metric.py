"""What a schedule that watches a metric is given."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.words import number

PHASES = ("metric",)


def find(scene: Scene) -> Iterator[Cause]:
    """Read from both traces."""
    name = scene.first.tensor.rpartition(" ")[0]
    a, b = scene.first.a, scene.first.b
    if a is None or b is None:
        return
    why = ", the same with the other sign" if a == -b else ""
    yield Cause(
        "metric",
        f"Before step {scene.first.step} {name} is given {number(b)} instead of {number(a)}{why}; the training itself "
        "agrees so far.",
        "the metric that the schedule watches: which one, of which data, averaged how, evaluated when",
        size=b,
        read=True,
        evidence=("the number that its step was given, in both traces",),
    )
