"""Gradient accumulation: how many micro-steps a step has, and whether their mean or their sum is taken."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import Fit
from lab_parity.diagnose.gradients import added, overflows, same_backward, scaled
from lab_parity.diagnose.scene import Run, Scene
from lab_parity.diagnose.words import number, times

PHASES = ("batch", "rng", "loss", "grad")
_CLOSE = 1e-3


def find(scene: Scene) -> Iterator[Cause]:
    """The count is read from the traces; sum against mean is fitted on the gradients."""
    a, b = scene.micro_steps
    if not a or not b:
        return  # an update without a backward pass: see `updates`
    if a != b:
        if _otherwise_equal(scene) or _overflows(scene):
            return
        once = scene.first.step and _before(scene) == (min(a, b), min(a, b))
        skipped = (f"both made {min(a, b)} before: a step that a scaler skips counts to the next one",) if once else ()
        more = (scene.legacy if a > b else scene.migrated).history.steps[scene.first.step]
        unmoved = (
            "" if more.hyper else " Or an update by hand changed nothing, at a learning rate of 0: that is no step."
        )
        yield Cause(
            "accumulation",
            f"The legacy step accumulates {a} micro-steps, the migrated one {b}.{unmoved}",
            "gradient accumulation: number of micro-batches a step",
            size=b / a if a else None,
            evidence=(f"backward passes in step {scene.first.step}: {a} against {b}", *skipped),
        )
        return
    usual = max((step.micro_steps for step in scene.legacy.history.steps), default=a)
    if scene.first.phase not in ("loss", "grad") or usual < 2:
        return
    found = scaled(scene)
    if found is None:
        return
    ratio, fit = found
    if scene.first.phase == "loss" and scene.micro:
        yield from _one_alone(scene.micro, usual, ratio, fit)
        return
    for known, said in (  # of a window of one both are the same number
        (usual / a, f"the last, short window of {a} is divided by its own count instead of by {usual}"),
        (a / usual, f"the last, short window of {a} is divided by {usual} instead of by its own count"),
        (float(usual), f"the sum of {usual} micro-steps is taken instead of their mean"),
        (1 / usual, f"the mean of {usual} micro-steps is taken instead of their sum"),
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


def _one_alone(micro: int, usual: int, ratio: float, fit: Fit) -> Iterator[Cause]:
    """The micro-steps before it agree: what is divided otherwise is this one, and perhaps what follows it."""
    for known, said in ((float(usual), "is not divided by"), (1 / usual, "alone is divided by")):
        if abs(ratio / known - 1) < _CLOSE:
            yield Cause(
                "accumulation",
                f"The loss of micro-step {micro} is {times(ratio)} the legacy one, those before it agree: it {said} "
                f"the {usual} micro-steps.",
                "normalisation of the accumulated gradient, in this micro-step",
                fit,
                ratio,
                0,
                evidence=(f"a step has {usual} micro-steps, the first {micro} of which agree bit by bit",),
            )


def _otherwise_equal(scene: Scene) -> bool:
    """Whether the counts say nothing: they were as unequal before, or as many passes add to the gradients.

    `torch.autograd.grad` inside a step (a meta-learner's inner steps) adds to none.
    """
    if _before(scene) == scene.micro_steps:
        return True
    counts = [_adding(run, count) for run, count in zip((scene.legacy, scene.migrated), scene.micro_steps, strict=True)]
    return counts[0] == counts[1] != 0


def _before(scene: Scene) -> tuple[int, int] | None:
    """The counts of the same optimizer's last step, if both sides have made it at the same time."""
    step, sides = scene.first.step, (scene.legacy.history.steps, scene.migrated.history.steps)
    label = sides[0][step].optimizer
    before = [(a.micro_steps, b.micro_steps) for a, b in zip(*(side[:step] for side in sides), strict=False)
              if a.optimizer == b.optimizer == label]  # fmt: skip
    return before[-1] if before else None


def _overflows(scene: Scene) -> bool:
    """Whether one side's loss or gradients are not finite: what a scaler makes of it is no accumulation."""
    if scene.first.phase == "loss" and any(overflows(run, scene.micro) for run in (scene.legacy, scene.migrated)):
        return True
    values = [value for value in (scene.first.a, scene.first.b) if value is not None]
    return scene.first.phase == "loss" and len({math.isfinite(value) for value in values}) > 1


def _adding(run: Run, micro_steps: int) -> int:
    return sum(any(bool(gradient.any()) for gradient in added(run, micro).values()) for micro in range(micro_steps))
