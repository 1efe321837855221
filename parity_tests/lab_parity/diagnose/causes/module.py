"""One module computes something else: another class, other settings, or the same inputs and another output."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Scene, same_bits
from lab_parity.record.capture_file import ModuleFacts

PHASES = ("loss", "forward", "grad")


def find(scene: Scene) -> Iterator[Cause]:
    """Read from each called module's class and `extra_repr`; else the first one whose output differs is named."""
    found = scene.first_module
    for a, b in scene.modules:
        if b is None or not _is_another(a, b) or _says_the_same(scene, a.name):
            if found is not None and a is found[0]:
                break
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


def _is_another(a: ModuleFacts, b: ModuleFacts) -> bool:
    """Of a class of torch's, or of other settings; a program may call its own classes what it likes."""
    own = not hasattr(nn, a.kind) and not hasattr(nn, b.kind)
    return a.settings != b.settings or (a.kind != b.kind and not own)


def _says_the_same(scene: Scene, module: str) -> bool:
    """Whether its outputs agree, bit by bit."""
    a, b = scene.outputs(module)
    return bool(a) and all(field in b and same_bits(a[field], b[field]) for field in a)


def _settings(a: str, b: str) -> str:
    mine, other = a.split(", "), b.split(", ")
    pairs = [f"{x} against {y}" for x, y in zip(mine, other, strict=False) if x != y]
    return "; ".join(pairs) if len(mine) == len(other) else f"{a} against {b}"
