"""Gradients k times too large: loss scale, unscaling, reduction over ranks or over the batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import Fit
from lab_parity.diagnose.gradients import overflows, proportional, same_backward, scaled
from lab_parity.diagnose.scene import Scene, same_bits
from lab_parity.diagnose.words import times

PHASES = ("loss", "grad", "reduce", "clip")
_CLOSE = 1e-4
_COUNTED = 100
"""Of a larger count nearly every factor is a share."""
_NEAR = 1e-3
"""Half precision rounds scaled gradients otherwise."""


def find(scene: Scene) -> Iterator[Cause]:
    """Fitted on the gradients of the backward pass whose loss differs, or on those that the update saw."""
    found = scaled(scene)
    if found is None:
        yield from _overflow(scene)
        return
    ratio, fit = found
    if scene.first.phase == "loss":
        same = _undone(scene)
        if same:
            yield _cause(
                f"The loss is {times(ratio)} the legacy one, and so are the gradients of its backward pass; the update "
                f"sees the same ones{same}: a loss scale that is undone (or clipped away) before it.",
                "scale of the loss, as of a GradScaler",
                ratio,
                fit,
                0,
            )
            return
        counts = _counts(scene)
        for count, what in counts.items():
            for known, said in ((count, f"summed over {what} instead of averaged"),
                                (1 / count, f"averaged over {what} instead of summed")):  # fmt: skip
                if count > 1 and abs(ratio / known - 1) < _CLOSE:
                    yield _cause(f"Loss and gradients are {times(ratio)} the legacy ones: {said}.",
                                 "reduction of the loss: sum or mean", ratio, fit, 0)  # fmt: skip
                    return
        weighted = _weighted(scene, ratio)
        if weighted:
            yield Cause("accumulation", f"Loss and gradients are {times(ratio)} the legacy ones: {weighted}.",
                        "normalisation of the accumulated gradient: by samples (tokens), or by micro-steps",
                        fit, ratio, 0)  # fmt: skip
            return
        yield _cause(f"Loss and gradients are {times(ratio)} the legacy ones{_masked(scene, ratio, counts)}.",
                     "scale of the loss", ratio, fit, 1)  # fmt: skip
        return
    where = "after the backward passes" if same_backward(scene) else "by the end of the backward passes"
    power = math.log2(abs(ratio)) if ratio else 0.0
    hint = ""
    if abs(power) >= 3 and abs(power - round(power)) < _CLOSE:
        hint = f" (2^{round(power)}: a loss scale that one side does not undo, or undoes twice)"
    yield _cause(
        f"The gradients are {times(ratio)} the legacy ones, and become so {where}{hint}.",
        "unscaling, reduction over ranks (sum or mean), or division by a count",
        ratio,
        fit,
        1,
    )


def _overflow(scene: Scene) -> Iterator[Cause]:
    """A power of two in the loss makes one side's gradients infinite: nothing is left to fit, the step is skipped."""
    pairs = scene.pairs("loss", "after", scene.micro)
    if scene.first.phase != "loss" or not pairs or not pairs[0].a.isfinite().all() or not bool(pairs[0].a.any()):
        return
    ratio = float(pairs[0].b) / float(pairs[0].a) if pairs[0].a.numel() == 1 else 0.0
    sides = [overflows(run, scene.micro) for run in (scene.legacy, scene.migrated)]
    if ratio <= 0 or not math.isfinite(ratio) or not math.log2(ratio).is_integer() or ratio == 1 or not any(sides):
        return
    side = "migrated" if sides[1] else "legacy"
    yield Cause(
        "scale",
        f"The loss is {times(ratio)} the legacy one (2^{round(math.log2(ratio))}), and the gradients of the {side} run "
        "are not finite with it: a scaler skips such a step.",
        "scale of the loss, as a GradScaler's first one",
        size=ratio,
        read=True,
        evidence=("losses and gradients of the backward pass, captured on both sides",),
    )


def _undone(scene: Scene) -> str:
    """How far the update sees what it sees on the legacy side; nothing where it does not."""
    pairs = scene.pairs("grad", "before")
    if pairs and all(same_bits(pair.a, pair.b) for pair in pairs):
        return ", bit by bit"
    real = [pair for pair in pairs if pair.a.is_floating_point()]
    return ", but for rounding" if real and abs(proportional(real)[0] - 1) < _NEAR else ""


def _counts(scene: Scene) -> dict[int, str]:
    """What a loss may be averaged over: the batch's size, and the elements of the last output."""
    found: dict[int, str] = {}
    for tensor in scene.legacy.tensors("batch", "before", scene.micro).values():
        if tensor.ndim:
            found.setdefault(tensor.shape[0], f"the batch of {tensor.shape[0]}")
        if tensor.numel() > 1:
            found.setdefault(tensor.numel(), f"{tensor.numel()} targets")
    for facts, _ in reversed(scene.modules):
        for output in scene.outputs(facts.name)[0].values():
            found.setdefault(output.numel(), f"{output.numel()} outputs")
        break
    return found


def _weighted(scene: Scene, ratio: float) -> str:
    """Whether the factor is that between the mean of unequal micro-steps' means and the mean over their samples."""
    of_step = [list(scene.legacy.tensors("batch", "before", micro).values()) for micro in range(scene.micro_steps[0])]
    if len(of_step) < 2 or scene.micro_steps[0] != scene.micro_steps[1]:
        return ""
    for what, size in (("samples", lambda t: t.shape[0] if t.ndim else 1), ("elements", Tensor.numel)):
        counts = [max(map(size, tensors), default=0) for tensors in of_step]
        if min(counts) < 1 or min(counts) == max(counts):
            continue
        share = sum(counts) / (len(counts) * counts[scene.micro])
        listed = ", ".join(map(str, counts))
        own, each = "every micro-step", f"every one of the {what}"
        for known, migrated, legacy in ((share, own, each), (1 / share, each, own)):
            if abs(ratio / known - 1) < _CLOSE and known != 1:
                return (
                    f"the micro-steps have {listed} {what}, and the migrated run gives {migrated} the same weight, the "
                    f"legacy run {legacy}"
                )
    return ""


def _masked(scene: Scene, ratio: float, counts: Mapping[int, str]) -> str:
    """A hint: the factor is a small count against the batch's, as of a mean that leaves out masked elements.

    A factor of a whole number is one that somebody wrote, unless the batches before had none.
    """
    whole = any(value and abs(round(value) / value - 1) < _CLOSE for value in (ratio, 1 / ratio if ratio else 0.0))
    if whole and not scene.first.step and not scene.micro:
        return ""
    for count, what in counts.items():
        for factor, side in ((ratio, "legacy"), (1 / ratio if ratio else 0.0, "migrated")):
            some = factor * count
            if 1 < count <= _COUNTED and 0 < some < count and abs(some - round(some)) < _CLOSE * some:
                return (
                    f", as where the {side} run takes the mean over {round(some)} of {what} (others being ignored, or "
                    "masked) and the other one over all"
                )
    return ""


def _cause(sentence: str, setting: str, ratio: float, fit: Fit, freedom: int) -> Cause:
    return Cause("scale", sentence, setting, fit, ratio, freedom)
