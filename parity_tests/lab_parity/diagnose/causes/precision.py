"""The precision of a module or a tensor: another dtype, or values that were rounded to one."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.gradients import left_behind, same_backward
from lab_parity.diagnose.scene import Scene

PHASES = ("config", "batch", "forward", "loss", "grad", "param")
_LOWER = (torch.bfloat16, torch.float16)
_MOST = 0.98
_FEW = 0.5


def find(scene: Scene) -> Iterator[Cause]:
    """Read from dtypes; then from the values: all of one side's are representable in a lower precision."""
    found = scene.first_module
    if scene.first.phase in ("loss", "forward") and found is not None:
        facts, _, a, b = found
        yield from _tensor(f"the output of {facts.name or 'the model'} ({facts.kind})", facts.name, a, b)
        return
    if scene.first.phase == "loss" and scene.modules:
        yield from _loss(scene)
    phase, moment = {"config": ("param", "before"), "param": ("param", "after"), "grad": ("grad", "before")}.get(
        scene.first.phase, ("batch", "before")
    )
    micro = scene.micro if phase == "batch" else -1
    for pair in scene.pairs(phase, moment, micro):
        if pair.a.dtype != pair.b.dtype or not torch.equal(pair.a, pair.b):
            words = {"param": "the parameter", "grad": "the gradient of"}.get(phase, "the batch tensor")
            if phase == "grad" and _as_left(scene, pair.name):
                return
            yield from _tensor(f"{words} {pair.name}", pair.name, pair.a, pair.b)
            return


def _loss(scene: Scene) -> Iterator[Cause]:
    """What the modules say agrees, and what is made of it has another dtype."""
    losses = [run.tensors("loss", "after", scene.micro) for run in (scene.legacy, scene.migrated)]
    if not all(losses):
        return
    a, b = (next(iter(side.values())) for side in losses)
    if a.dtype != b.dtype:
        for cause in _tensor("the loss", "loss", a, b):
            setting = "what is converted before the loss, and whether the loss is inside autocast"
            yield attrs.evolve(cause, setting=setting)


def _as_left(scene: Scene, name: str) -> bool:
    """Whether the backward passes left the gradient rounded on both sides (autocast): no update has rounded it."""
    raw = left_behind(scene.legacy, scene.micro_steps[0]).get(name)
    return same_backward(scene) and raw is not None and any(_fits(raw, lower) > _MOST for lower in _LOWER)


def _tensor(what: str, name: str, a: Tensor, b: Tensor) -> Iterator[Cause]:
    if not (a.is_floating_point() and b.is_floating_point()):
        return
    if a.dtype != b.dtype:
        said, evidence = f"{what} is {_name(b.dtype)} instead of {_name(a.dtype)}", "dtypes read on both sides"
    else:
        for mine, other, side in ((a, b, "migrated"), (b, a, "legacy")):
            lower = next((d for d in _LOWER if _fits(other, d) > _MOST and _fits(mine, d) < _FEW), None)
            if lower is not None:
                said = f"{what} has been rounded to {_name(lower)} in the {side} run"
                parts = f"{_fits(other, lower):.0%} of its values are {_name(lower)} numbers"
                evidence = f"{parts}, {_fits(mine, lower):.0%} of the other side's"
                break
        else:
            return
    yield Cause(
        "precision",
        f"{said[0].upper()}{said[1:]}.",
        "autocast, .half(), .bfloat16() or a dtype argument, of this module",
        affected=(name,),
        evidence=(evidence,),
    )


def _fits(tensor: Tensor, dtype: torch.dtype) -> float:
    """The part of the values, zeros and what is not finite apart, that the dtype represents; NaN where none is left."""
    values = tensor[(tensor != 0) & tensor.isfinite()]
    return float((values.to(dtype).to(values.dtype) == values).double().mean())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
