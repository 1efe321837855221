"""One module computes something else: another class, other settings, or the same inputs and another output."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator

from torch import nn

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.held import around
from lab_parity.diagnose.scene import Scene, same_bits
from lab_parity.listing import some_of
from lab_parity.record.capture_file import CapturedStep, ModuleFacts

PHASES = ("loss", "forward", "grad", "buffer")


def find(scene: Scene) -> Iterator[Cause]:
    """Read from each called module's class and `extra_repr`; else the first one whose output differs is named."""
    if scene.first.phase == "buffer":
        parted = next((pair.name for pair in scene.pairs("buffer", "after") if not same_bits(pair.a, pair.b)), None)
        if parted is not None:
            yield from _held(scene, parted.rpartition(".")[0], f"the buffer {parted}")
        return
    found = scene.first_module
    if found is not None:
        yield from _in_another_order(scene)
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
    if found is None:
        return
    yield from _held(scene, found[0].name, f"the output of {found[0].name or 'the model itself'} ({found[0].kind})")
    given = [set(run.tensors("batch", "before", scene.micro)) for run in (scene.legacy, scene.migrated)]
    alone = sorted(given[0] ^ given[1])
    if alone and _calls(given[0]) == _calls(given[1]):
        who, other = ("legacy", "migrated") if alone[0] in given[0] else ("migrated", "legacy")
        what = "a tensor" if len(alone) == 1 else f"{len(alone)} tensors"
        yield Cause(
            "module",
            f"The {who} run calls the model with {what} that the {other} one does not give it ({some_of(alone)}: a "
            f"carried state, a mask); the first module whose output differs is {found[0].name or 'the model itself'}.",
            "what the model is called with",
            freedom=4,
            affected=(found[0].name,),
            evidence=("arguments of the outermost calls, read on both sides",),
        )
    a, b, left, right = found
    counts = [_count(run.now, a.name, scene.micro) for run in (scene.legacy, scene.migrated)]
    if counts[0] != counts[1]:
        yield Cause(
            "module",
            f"{a.name or 'The model'} ({a.kind}) is called {counts[0]} times before this backward pass in the legacy "
            f"run, {counts[1]} times in the migrated one, and not with the same outputs in the same order.",
            f"where {a.name or 'the model'} is called, how often, and on what",
            freedom=4,
            affected=(a.name,),
            evidence=("calls of modules, counted on both sides",),
        )
        return
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


def _in_another_order(scene: Scene) -> Iterator[Cause]:
    """The same modules are called as often, and not one behind the other as in the legacy run."""
    sides = [_called(run.now, scene.micro) for run in (scene.legacy, scene.migrated)]
    kinds = [[kind for _, kind in side] for side in sides]
    if kinds[0] == kinds[1] or Counter(kinds[0]) != Counter(kinds[1]):
        return
    place = next(place for place, (x, y) in enumerate(zip(*kinds, strict=True)) if x != y)
    (a, kind), (b, other) = (side[place] for side in sides)
    behind = f" behind {sides[0][place - 1][0] or 'the model'} ({kinds[0][place - 1]})" if place else ""
    yield Cause(
        "module",
        f"The same modules are called in another order:{behind} the legacy run calls {a or 'the model'} ({kind}), the "
        f"migrated one {b or 'the model'} ({other}).",
        "the order of the layers, and where each is called",
        freedom=-1,
        read=True,
        affected=(a,),
        evidence=(f"the classes of all {len(kinds[0])} calls, in their order, on both sides",),
    )


def _called(captured: CapturedStep | None, micro: int) -> list[tuple[str, str]]:
    """The calls of a micro-step in their order: module and its class."""
    if captured is None:
        return []
    kinds = {facts.name: facts.kind for facts in captured.modules}
    return [(name, kinds.get(name, "")) for at, name, _ in captured.calls if at == micro]


def _held(scene: Scene, module: str, what: str) -> Iterator[Cause]:
    """Numbers that the module, or the innermost one around it, holds otherwise: an attribute need not act on it."""
    for facts, apart in around(scene, module):
        said = "; ".join(one.sentence() for one in apart[:3]) + "; …" * (len(apart) > 3)
        name = facts.name if not facts.name.startswith("..") else ""
        yield Cause(
            "module",
            f"{name or 'The model'} ({facts.kind}) holds other numbers: {said}. The first that differs is {what}.",
            ", ".join(f"{name}.{one.name}".removeprefix(".") for one in apart[:3]),
            size=float(apart[0].b) if isinstance(apart[0].b, (int, float)) else None,
            freedom=4,
            affected=(facts.name,),
            evidence=("attributes of the modules, read on both sides before the step's first call",),
        )
        return


def _count(captured: CapturedStep | None, module: str, micro: int) -> int:
    """How often a module is called in a micro-step."""
    return sum((at, name) == (micro, module) for at, name, _ in captured.calls) if captured is not None else 0


def _calls(given: Collection[str]) -> set[str]:
    """The outermost calls that tensors went into: "call 0" of "call 0 argument 1.0"."""
    return {name.partition(" argument")[0] for name in given}


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
