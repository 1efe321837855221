"""One module computes something else: another class, other settings, or the same inputs and another output."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Scene

PHASES = ("loss", "forward", "grad")


def find(scene: Scene) -> Iterator[Cause]:
    """Read from each called module's class and `extra_repr`; else the first one whose output differs is named."""
    for a, b in scene.modules:
        if b is None or (a.kind, a.settings) == (b.kind, b.settings):
            continue
        what = f"{a.kind} against {b.kind}" if a.kind != b.kind else _settings(a.settings, b.settings)
        yield Cause(
            "module",
            f"The module {a.name or 'itself'} differs: {what}.",
            f"settings of {a.name or 'the model'}",
            affected=(a.name,),
            evidence=("class and settings of the called modules, read on both sides",),
        )
        return
    found = scene.first_module
    if found is None or scene.first.phase == "grad":
        return
    a, b, left, right = found
    if left.dtype == right.dtype and left.shape == right.shape:
        apart = float((left.double() - right.double()).abs().max()) if left.is_floating_point() else 0.0
        how = f"by up to {apart:.3g}" if math.isfinite(apart) else "not by numbers: values are not finite"
    else:
        how = f"{left.dtype} {tuple(left.shape)} against {right.dtype} {tuple(right.shape)}"
    yield Cause(
        "module",
        f"The first module whose output differs is {a.name or 'the model itself'} ({a.kind}), {how}; every "
        "module called before it agrees.",
        f"what {a.name or 'the model'} computes, and what it is called with",
        freedom=5,
        affected=(a.name,),
        evidence=("same class, settings and mode on both sides",),
    )


def _settings(a: str, b: str) -> str:
    mine, other = a.split(", "), b.split(", ")
    pairs = [f"{x} against {y}" for x, y in zip(mine, other, strict=False) if x != y]
    return "; ".join(pairs) if len(mine) == len(other) else f"{a} against {b}"
