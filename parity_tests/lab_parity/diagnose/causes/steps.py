"""One run takes more optimizer steps than the other."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Scene

PHASES = ("optimizer",)


def find(scene: Scene) -> Iterator[Cause]:
    """Read from both traces' ends."""
    a, b = (len(run.history.steps) for run in (scene.legacy, scene.migrated))
    ends = [run.history.end for run in (scene.legacy, scene.migrated)]
    if a != b and scene.first.step == min(a, b) and all(end is not None and end.status == "finished" for end in ends):
        more = f"{abs(b - a)} step{'s' * (abs(b - a) > 1)} {'more' if b > a else 'fewer'}"
        off = " (a loop that counts to N inclusively, or stops one early)" if abs(b - a) == 1 else ""
        agree = f"all {min(a, b)} before agree{off}"
        if not min(a, b):
            agree = (
                "nothing is trained, or by nothing that moves: a learning rate of 0, gradients zeroed before each, a "
                "scaler that skips all"
            )
        elif not (scene.legacy if a < b else scene.migrated).history.steps[-1].hyper:
            agree += "; an update by hand that changes nothing, at a learning rate of 0, is no step"
        yield Cause(
            "steps",
            f"The migrated run takes {more} than the legacy one ({b} against {a}); {agree}.",
            "number of steps or epochs",
            size=float(b - a),
            evidence=("both runs finished by themselves",),
        )
