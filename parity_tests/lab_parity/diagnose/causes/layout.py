"""The layout in memory: channels_last on one side, a sparse gradient on one side; other kernels, other last bits."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import flat
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Pair, Scene, same_bits

PHASES = ("loss", "forward", "grad", "buffer")
_NEAR = 1e-3


def find(scene: Scene) -> Iterator[Cause]:
    """Read from outputs and gradients as they were; it explains what is near, and nothing more."""
    if scene.legacy.now is None or scene.migrated.now is None:
        return
    if scene.first.phase == "grad":
        yield from _sparse(scene)
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


def _is_near(pair: Pair) -> bool:
    if pair.a.shape != pair.b.shape or not pair.a.is_floating_point():
        return False
    return float((flat(pair.b) - flat(pair.a)).norm()) <= _NEAR * float(flat(pair.a).norm())


def _said(layout: str) -> str:
    return f"as {layout}" if layout else "in the usual order"
