"""Reduction over ranks: when gradients are reduced, by whom, and with which settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.gradients import scaled
from lab_parity.diagnose.scene import Run, Scene
from lab_parity.diagnose.words import number, times
from lab_parity.keys import Key

PHASES = ("reduce", "grad", "buffer")
_DDP = "DistributedDataParallel"


def find(scene: Scene) -> Iterator[Cause]:
    """Read from what both sides' reductions are told to do."""
    sides = [_told(run) for run in (scene.legacy, scene.migrated)]
    if bool(sides[0]) != bool(sides[1]) and scene.first.phase == "grad":
        yield from _one_alone(scene, sides[0] or sides[1], "legacy" if sides[0] else "migrated")
        return
    if scene.first.phase == "grad" and _local(scene.legacy) and _local(scene.legacy) == _local(scene.migrated):
        yield from _behind_the_reduction(scene, sides[1])
    apart = [key for key in sides[0] if key in sides[1] and sides[0][key] != sides[1][key]]
    if apart:
        key = apart[0]
        a, b = sides[0][key], sides[1][key]
        yield Cause(
            "reduction",
            _sentence(key, a, b, sum(other.field == key.field for other in apart)),
            f"{key.name}: {key.field}",
            size=b,
            freedom=0 if scene.first.phase == "reduce" else 2,
            read=True,
            evidence=("the settings of each backward pass's reduction, read on both sides",),
        )


def _one_alone(scene: Scene, there: Mapping[Key, float], side: str) -> Iterator[Cause]:
    other = "migrated" if side == "legacy" else "legacy"
    how = "DistributedDataParallel" if any(key.name == _DDP for key in there) else "all_reduce"
    yield Cause(
        "reduction",
        f"The {side} run reduces its gradients over the ranks ({how}); of the {other} one no reduction is seen.",
        "calls of the wrapped model (not of the module inside), all_reduce of the gradients",
        freedom=2,
        read=True,
        evidence=(f"what the {side} run's reductions are told to do, and none in the {other} trace",),
    )


def _behind_the_reduction(scene: Scene, told: Mapping[Key, float]) -> Iterator[Cause]:
    """What goes into the reduction agrees, so that no backward pass has anything to do with it."""
    found = scaled(scene)
    if found is None:
        return
    ratio, fit = found
    ranks = next((value for key, value in told.items() if key.field == "ranks"), 0.0)
    known = {ranks: "their sum over the ranks is taken instead of the mean",
             1 / ranks if ranks else 0.0: "their mean over the ranks is taken instead of the sum"}  # fmt: skip
    said = next((text for value, text in known.items() if value and abs(ratio / value - 1) < 1e-3), "")
    yield Cause(
        "scale" if said else "reduction",
        f"The gradients that are reduced over {number(ranks)} ranks agree, what comes of them is {times(ratio)} the "
        f"legacy one{f': {said}' if said else ''}.",
        "reduction over the ranks: sum or mean, the number it is divided by",
        fit,
        ratio,
        -1,
        evidence=("each rank's own gradients before the reduction, compared bit by bit",),
    )


def _local(run: Run) -> dict[Key, bytes]:
    return {key: digest for key, (digest, _) in run.history.keys.items() if key.field == "local"}


def _sentence(key: Key, a: float, b: float, passes: int) -> str:
    if key.field == "synchronized":
        side, other = ("migrated", "legacy") if b else ("legacy", "migrated")
        what = f"micro-step {key.micro}" + (f" (and {passes - 1} more)" if passes > 1 else "")
        return (
            f"The {side} run reduces the gradients over the ranks in {what}, the {other} one does not: no_sync() is "
            "left out, or stands around another backward pass."
        )
    return f"{key.name}'s {key.field} is {number(b)} instead of {number(a)}."


def _told(run: Run) -> dict[Key, float]:
    """What reductions are told, where it is a number."""
    return {
        key: value
        for key, (_, value) in run.history.keys.items()
        if key.phase == "reduce" and value == value and key.field not in ("bucket_bytes", "local")
    }
