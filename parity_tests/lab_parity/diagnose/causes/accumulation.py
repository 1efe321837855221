"""Gradient accumulation: how many micro-steps a step has, and whether their mean or their sum is taken."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.gradients import same_backward, scaled
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.words import number, times

PHASES = ("batch", "rng", "loss", "grad")
_CLOSE = 1e-3


def find(scene: Scene) -> Iterator[Cause]:
    """The count is read from the traces; sum against mean is fitted on the gradients."""
    a, b = scene.micro_steps
    if not a or not b:
        return  # an update without a backward pass: see `updates`
    if a != b:
        yield Cause(
            "accumulation",
            f"The legacy step accumulates {a} micro-steps, the migrated one {b}.",
            "gradient accumulation: number of micro-batches a step",
            size=b / a if a else None,
            evidence=(f"backward passes in step {scene.first.step}: {a} against {b}",),
        )
        return
    usual = max((step.micro_steps for step in scene.legacy.history.steps), default=a)
    if scene.first.phase not in ("loss", "grad") or usual < 2:
        return
    found = scaled(scene)
    if found is None:
        return
    ratio, fit = found
    for known, said in (
        (float(usual), f"the sum of {usual} micro-steps is taken instead of their mean"),
        (1 / usual, f"the mean of {usual} micro-steps is taken instead of their sum"),
        (usual / a, f"the last, short window of {a} is divided by its own count instead of by {usual}"),
        (a / usual, f"the last, short window of {a} is divided by {usual} instead of by its own count"),
    ):
        if known != 1 and abs(ratio / known - 1) < _CLOSE:
            yield Cause(
                "accumulation",
                f"The migrated gradients are {times(ratio)} the legacy ones: {said}.",
                "normalisation of the accumulated gradient",
                fit,
                ratio,
                # The passes left the same: then it is something between them and the update, as clipping is.
                int(same_backward(scene)),
                evidence=(f"a step has {usual} micro-steps; {number(known)} was expected of this cause",),
            )
            return
