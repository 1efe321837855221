"""Clipping: whether, at what, by which norm, of which parameters, and before or after unscaling."""

from __future__ import annotations

import math
from collections.abc import Iterator

import attrs
import torch

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.clipping import Clip, clip_between, is_round
from lab_parity.diagnose.gradients import left_behind, norm, same_backward
from lab_parity.diagnose.scene import Run, Scene, same_bits
from lab_parity.diagnose.words import number

PHASES = ("grad", "clip")
_SAME = 1e-6
_FOUND = ("clip", "total_norm")


def find(scene: Scene) -> Iterator[Cause]:
    """Reads what torch's functions were asked for; or compares what lies between the backward passes and the update."""
    if scene.first.phase == "clip":
        yield from _asked(scene)
        return
    yield from _scaled_when_clipped(scene)
    if not scene.captured:
        return
    yield from _between_micro_steps(scene)
    if not same_backward(scene):
        return
    a, b = (_form(run, scene.micro_steps[0]) for run in (scene.legacy, scene.migrated))
    if a is not None and (b is None or (a.kind == "factor" and b.kind != "norm")):
        b = _form(scene.migrated, scene.micro_steps[0], a.at if a.kind == "factor" else 1.0) or b
    elif b is not None and (a is None or (b.kind == "factor" and a.kind != "norm")):
        a = _form(scene.legacy, scene.micro_steps[0], b.at if b.kind == "factor" else 1.0) or a
    everyone = len(scene.legacy.tensors("grad", "before"))
    if a is None or b is None:
        yield from _clips_further(scene, everyone)
        return
    late = _before_unscaling(scene, a, b)
    if late is not None:
        yield late
        return
    clips = {"norm", "inf norm", "value", "each"}
    if a.kind not in clips and b.kind not in clips:
        return  # a factor: see `scale`
    scaled = _clips_both(scene, a, b)
    if scaled is not None:
        yield scaled
        return
    a, b = _same_threshold(scene, a, b)
    if a.kind == b.kind and a.on == b.on and abs(a.at / b.at - 1) < _SAME:
        return  # the norm is summed up in another order: see `rounding`
    yield Cause(
        "clip",
        f"The legacy run {a.sentence(everyone)}, the migrated one {b.sentence(everyone)}.",
        "clipping: threshold, norm, and the parameters it is taken over",
        None,
        b.at if b.kind in clips else a.at,
        0 if (b if b.kind in clips else a).sure or {a.kind, b.kind} <= clips else 2,
        affected=b.on,
        evidence=("the last backward pass left the same gradients on both sides, bit by bit",),
    )


def _asked(scene: Scene) -> Iterator[Cause]:
    """The setting that differs first, from both traces."""
    name, _, field = scene.first.tensor.rpartition(" ")
    a, b = scene.first.a, scene.first.b
    if a is None or b is None:
        return
    calls = [
        sum(key.phase == "clip" and key.field == "left_out" for key in run.history.keys)
        for run in (scene.legacy, scene.migrated)
    ]
    said = {
        "max_norm": f"The legacy run clips the global norm at {number(a)}, the migrated one at {number(b)}.",
        "clip_value": f"The legacy run clips each element at {number(a)}, the migrated one at {number(b)}.",
        "left_out": f"The legacy run leaves {number(a)} of the optimizer's gradients out of a clip, the migrated one "
        + (f"{number(b)}, in {calls[1]} calls instead of {calls[0]}." if calls[0] != calls[1] else f"{number(b)}."),
        "outside": f"The legacy run clips {number(a)} gradients of others together with the optimizer's, the migrated "
        f"one {number(b)}.",
        "norm_type": f"The legacy run clips by the norm of order {number(a)}, the migrated one by that of {number(b)}.",
    }
    if field in said:
        yield Cause(
            "clip",
            said[field],
            f"{field} of {name}",
            size=b if field not in ("left_out", "outside") else None,
            read=True,
            evidence=("read from both traces",),
        )


def _scaled_when_clipped(scene: Scene) -> Iterator[Cause]:
    """The norm that torch's function found is a power of two of the other side's: the loss scale was still in it."""
    norms = [
        {key.name: value for key, (_, value) in run.history.keys.items() if (key.phase, key.field) == _FOUND}
        for run in (scene.legacy, scene.migrated)
    ]
    for name, a in norms[0].items():
        b = norms[1].get(name, 0.0)
        if not (math.isfinite(a) and math.isfinite(b) and a > 0 and b > 0):
            continue
        power = math.log2(b / a)
        if abs(power) < 2 or abs(power - round(power)) > 1e-4:
            continue
        early, late = ("migrated", "legacy") if power > 0 else ("legacy", "migrated")
        yield Cause(
            "clip",
            f"{name} meets gradients that are 2^{abs(round(power))} times as large in the {early} run as in the {late} "
            "one: there it clips them before the loss scale is taken out of them.",
            "order of clipping and unscaling (scaler.unscale_ before clip_grad_norm_)",
            size=2.0 ** round(power),
            read=True,
            evidence=(f"the norms that it found: {number(a)} against {number(b)}, in both traces",),
        )
        return


def _form(run: Run, micro_steps: int, factor: float = 1.0) -> Clip | None:
    return clip_between(left_behind(run, micro_steps), run.tensors("grad", "before"), factor)


def _before_unscaling(scene: Scene, a: Clip, b: Clip) -> Cause | None:
    """One side's norm is the other's, divided by a power of two: clipped while the loss scale was still in it."""
    used = [list(run.tensors("grad", "before").values()) for run in (scene.legacy, scene.migrated)]
    lengths = [norm(tensors) for tensors in used]
    if not all(lengths):
        return None
    power = math.log2(lengths[0] / lengths[1])
    early, mine = ("migrated", lengths[0]) if power > 0 else ("legacy", lengths[1])
    if abs(power) < 2 or abs(power - round(power)) > 1e-4 or not is_round(mine):
        return None
    scale = 2 ** abs(round(power))
    return Cause(
        "clip",
        f"The {early} run clips the scaled gradients, before it divides them by the loss scale of {scale}; "
        f"the other one clips at {mine:.6g} after that.",
        "order of clipping and unscaling",
        size=mine,
        evidence=(f"the norms that the updates saw: {lengths[0]:.6g} against {lengths[1]:.6g}",),
    )


def _clips_further(scene: Scene, everyone: int) -> Iterator[Cause]:
    """One side clips what the other side's update saw: once more, after what both do."""
    used = [run.tensors("grad", "before") for run in (scene.legacy, scene.migrated)]
    for side, more, less in (("migrated", 1, 0), ("legacy", 0, 1)):
        form = clip_between(used[less], used[more])
        if form is not None and form.kind in ("value", "each"):
            yield Cause(
                "clip",
                f"The {side} run {form.sentence(everyone)}, after what both runs do to the gradients.",
                "clipping: once more on one side",
                size=form.at,
                affected=form.on,
                evidence=("the last backward pass left the same gradients on both sides, bit by bit",),
            )
            return


def _clips_both(scene: Scene, a: Clip, b: Clip) -> Cause | None:
    """Whether the migrated side clips each element as the legacy one does, after it has multiplied them."""
    if a.kind != "value" or b.kind in ("none", "norm", "inf norm"):
        return None
    raw, used = left_behind(scene.migrated, scene.micro_steps[1]), scene.migrated.tensors("grad", "before")
    names = [name for name in used if name in raw and bool(raw[name].any())]
    before = torch.cat([raw[name].reshape(-1).double() for name in names])
    after = torch.cat([used[name].reshape(-1).double() for name in names])
    free = after.abs() < a.at * (1 - 1e-5)
    factor = float((before * after)[free].sum() / before[free].square().sum()) if bool(before[free].any()) else 1.0
    left = (before * factor).clamp(-a.at, a.at) - after
    if abs(factor - 1) < 1e-5 or float(left.abs().max()) > 1e-5 * a.at:
        return None
    return Cause(
        "scale",
        f"The migrated gradients are multiplied by {number(factor)} before both sides clip each element at "
        f"{number(a.at)}.",
        "unscaling, reduction over ranks (sum or mean), or division by a count",
        size=factor,
        evidence=("the last backward pass left the same gradients on both sides, bit by bit",),
    )


def _same_threshold(scene: Scene, a: Clip, b: Clip) -> tuple[Clip, Clip]:
    """A factor on one side may be the other side's threshold, by the norm of a part of the parameters."""
    if {a.kind, b.kind} != {"norm", "factor"}:
        return a, b
    clip, other, run = (a, b, scene.migrated) if a.kind == "norm" else (b, a, scene.legacy)
    raw = left_behind(run, scene.micro_steps[0])
    for name, subset in (
        ("matrices", [n for n in raw if raw[n].ndim >= 2]), ("vectors", [n for n in raw if raw[n].ndim < 2]),
        *((f"all but {left}", [n for n in raw if n != left]) for left in raw),
    ):  # fmt: skip
        if abs(norm([raw[n] for n in subset]) * other.at / clip.at - 1) < 1e-4:
            other = attrs.evolve(other, kind="norm", at=clip.at, on=tuple(subset))
            break
        del name
    return (clip, other) if a.kind == "norm" else (other, clip)


def _between_micro_steps(scene: Scene) -> Iterator[Cause]:
    """What one backward pass left is not what the next one found."""
    for micro in range(1, min(scene.micro_steps)):
        forms = []
        for run in (scene.legacy, scene.migrated):
            left, found = run.tensors("grad", "after", micro - 1), run.tensors("grad", "before", micro)
            same = left.keys() == found.keys() and all(same_bits(left[name], found[name]) for name in left)
            forms.append(None if same or not found else clip_between(left, found))
        clips = [form is not None and form.kind not in ("none", "factor") for form in forms]
        if clips[0] != clips[1]:
            side, form = ("legacy", forms[0]) if clips[0] else ("migrated", forms[1])
            assert form is not None
            everyone = len(scene.legacy.tensors("grad", "before"))
            yield Cause(
                "clip",
                f"The {side} run {form.sentence(everyone)} after every micro-step, the other one does not.",
                "clipping: once a step, or once a micro-step",
                size=form.at,
                evidence=(f"gradients between backward passes {micro - 1} and {micro}",),
            )
            return
