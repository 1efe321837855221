"""The layout in memory: channels_last on one side, a sparse gradient on one side; other kernels, other last bits."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch
from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import flat
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Pair, Scene, same_bits

PHASES = ("loss", "forward", "grad", "optimizer", "param", "buffer")
_NEAR = 1e-3
_ROUNDED = 1e-5


def find(scene: Scene) -> Iterator[Cause]:
    """Read from outputs and gradients as they were; it explains what is near, and nothing more."""
    if scene.legacy.now is None or scene.migrated.now is None:
        return
    if scene.first.phase in ("grad", "optimizer", "param"):
        yield from _sparse(scene)
        if scene.first.phase != "grad":
            return
    for facts, other in scene.modules:
        if other is None or facts.layout == other.layout:
            continue
        found = scene.first_module
        parted = [Pair(found[0].name, found[2], found[3])] if found is not None else []
        parted = parted or [pair for pair in scene.pairs("grad", "before") if not same_bits(pair.a, pair.b)]
        if not parted or not all(_is_near(pair) for pair in parted):
            return
        first = (
            f"; the first output that differs is that of {found[0].name or 'the model'}" if found is not None else ""
        )
        yield Cause(
            "layout",
            f"The output of {facts.name or 'the model'} ({facts.kind}) lies in memory {_said(other.layout)} in the "
            f"migrated run, {_said(facts.layout)} in the legacy one: other kernels, with other last bits{first}.",
            ".to(memory_format=torch.channels_last), a transposed view, .contiguous()",
            freedom=3,
            affected=(facts.name,),
            evidence=("strides read on both sides; what differs is a thousandth at most",),
        )
        return


def _sparse(scene: Scene) -> Iterator[Cause]:
    assert scene.legacy.now is not None
    assert scene.migrated.now is not None
    a, b = set(scene.legacy.now.sparse), set(scene.migrated.now.sparse)
    names = sorted(a ^ b)
    pairs = {pair.name: pair for pair in scene.pairs("grad", "before")}
    if not names or not all(name in pairs and _is_near(pairs[name]) for name in names):
        return
    side = "migrated" if names[0] in b else "legacy"
    if scene.first.phase != "grad":
        if not scene.settings and _rounded_alone(scene, names):
            yield Cause(
                "layout",
                f"The gradient of {which(names, list(pairs))} is sparse in the {side} run alone, and its update adds "
                "up what one row comes in in another order: nothing but last bits differ.",
                "sparse=True of an embedding",
                freedom=1,
                affected=tuple(names),
                evidence=("layouts of the gradients that the update saw, read on both sides",),
            )
        return
    same = all(same_bits(pairs[name].a, pairs[name].b) for name in names)
    yield Cause(
        "layout",
        f"The gradient of {which(names, list(pairs))} is sparse in the {side} run alone; as numbers they are the same"
        f"{', bit by bit' if same else ' but for rounding'}.",
        "sparse=True of an embedding; an optimizer may treat rows without a gradient otherwise",
        freedom=1,
        affected=tuple(names),
        evidence=("layouts of the gradients that the update saw, read on both sides",),
    )


def _rounded_alone(scene: Scene, names: Collection[str]) -> bool:
    """Whether the update left other bits in these parameters and their state alone, and nearly the same numbers."""
    fields = [("param", ""), *(("optimizer", field) for field in scene.legacy.state_fields)]
    pairs = [pair for phase, field in fields for pair in scene.pairs(phase, "after", field=field)]
    parted = [pair for pair in pairs if pair.a.dtype != pair.b.dtype or not torch.equal(_dense(pair.a), _dense(pair.b))]
    return bool(parted) and all(pair.name in names and _is_near(pair, _ROUNDED) for pair in parted)


def _dense(tensor: Tensor) -> Tensor:
    return tensor.to_dense() if tensor.layout != torch.strided else tensor


def _is_near(pair: Pair, near: float = _NEAR) -> bool:
    if pair.a.shape != pair.b.shape or not pair.a.is_floating_point():
        return False
    a, b = flat(_dense(pair.a)), flat(_dense(pair.b))
    return float((b - a).norm()) <= near * float(a.norm())


def _said(layout: str) -> str:
    return f"as {layout}" if layout else "in the usual order"
