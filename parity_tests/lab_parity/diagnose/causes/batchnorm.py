"""Running statistics: their momentum, and whether the variance is that of the sample."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import Fit, flat, gradient_noise, least_squares
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.words import number

PHASES = ("buffer",)
_USUAL = 0.1
_STATISTICS = re.compile(r"(mean|var|std|moving|running)[^.]*$")
"""What a program calls running statistics, torch's and its own."""


def find(scene: Scene) -> Iterator[Cause]:
    """Fitted on what the forward calls added to the running statistics."""
    before = scene.legacy.tensors("buffer", "before")
    real = [pair for pair in scene.pairs("buffer", "after") if pair.a.is_floating_point()]
    parted = [pair for pair in real if not pair.a.equal(pair.b)]
    if not parted:
        return
    counted = _counted(scene)
    if counted is not None:
        yield counted
        return
    momenta = [_momentum(scene, parted[0].name, side) for side in (0, 1)]
    if None not in momenta and momenta[0] != momenta[1]:
        yield Cause(
            "batchnorm",
            f"The momentum of {parted[0].name.rpartition('.')[0] or 'the module'} is {momenta[1]} instead of "
            f"{momenta[0]}.",
            "momentum of the batch norm",
            size=momenta[1],
            read=True,
            affected=tuple(p.name for p in parted),
            evidence=("both values were read from the modules",),
        )
    # What another optimizer's part has called (a generator, in its critic's step) is known afterwards alone.
    changed = [pair for pair in parted if pair.name in before and not pair.a.equal(before[pair.name])]
    if not changed:
        return
    if any(not p.a.equal(p.b) for p in scene.pairs("buffer", "before") if p.name in before):
        return  # they have parted before, in calls that belong to no step: nothing to fit
    changed = [pair for pair in changed if _STATISTICS.search(pair.name)]
    if not changed:
        return  # a queue, a counter, a memory
    ratio, fit = _ratio([(flat(before[p.name]), p.a, p.b) for p in changed])
    a = momenta[0] if momenta[0] is not None else _USUAL
    assumed = "" if momenta[0] is not None else f" (of {number(a)}, the usual one)"
    read = tuple(f"momentum read from the module: {m}" for m in momenta if m is not None)
    yield Cause(
        "batchnorm",
        f"What a step adds to the running statistics is {number(ratio)} times the legacy part: momentum "
        f"{number(a * ratio)} instead of {number(a)}{assumed}.",
        "momentum of the batch norm",
        fit,
        a * ratio,
        1,
        affected=tuple(p.name for p in changed),
        evidence=read,
    )
    yield from _variance(scene, [(p.name, before[p.name], p.a, p.b) for p in changed], a)


def _counted(scene: Scene) -> Cause | None:
    """A norm has taken in another number of batches in this step, by its own count."""
    before = {pair.name: pair for pair in scene.pairs("buffer", "before") if pair.name.endswith("num_batches_tracked")}
    for pair in scene.pairs("buffer", "after"):
        old = before.get(pair.name)
        if old is None or not old.a.equal(old.b) or pair.a.equal(pair.b):
            continue
        a, b = int(pair.a) - int(old.a), int(pair.b) - int(old.b)
        if min(a, b) < 1:
            continue  # in another mode, or by code that does not count
        return Cause(
            "batchnorm",
            f"{pair.name.rpartition('.')[0] or 'The norm'} takes in {b} batches in this step instead of {a}, by its "
            "own count: it is called another number of times, as where gradient checkpointing computes it anew.",
            "how often the norm is called in training mode",
            size=b / a,
            read=True,
            affected=(pair.name,),
            evidence=("num_batches_tracked, read on both sides",),
        )
    return None


def _variance(scene: Scene, changed: Sequence[tuple[str, Tensor, Tensor, Tensor]], momentum: float) -> Iterator[Cause]:
    """n / (n - 1) between the variances of the sample and of the population."""
    variances = [item for item in changed if item[0].endswith("var")]
    if not variances or any(name.endswith("mean") and not _alike(a, b) for name, _, a, b in changed):
        return
    added = [flat(a) - (1 - momentum) * flat(old) for _, old, a, _ in variances]
    noise = [gradient_noise(a, b) for _, _, a, b in variances]
    fit = least_squares([flat(b) - flat(a) for _, _, a, b in variances], [added], noise)
    ratio = 1 + fit.coefficients[0]
    count = 1 / (1 - ratio) if ratio < 1 else ratio / (ratio - 1)
    if count > 1.5 and abs(count - round(count)) < 0.02 * count:
        less = "biased (divided by n)" if ratio < 1 else "unbiased (divided by n - 1)"
        yield Cause(
            "batchnorm",
            f"The migrated running variance is {less}, the legacy one is not; n is {round(count)}.",
            "the batch norm's running variance",
            fit,
            None,
            1,
            affected=tuple(name for name, *_ in variances),
        )


def _alike(a: Tensor, b: Tensor) -> bool:
    return float(((flat(a) - flat(b)) / gradient_noise(a, b)).abs().max()) <= 4


def _ratio(changed: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[float, Fit]:
    fit = least_squares(
        [flat(b) - flat(a) for _, a, b in changed],
        [[flat(a) - before for before, a, _ in changed]],
        [gradient_noise(a, b) for _, a, b in changed],
    )
    return 1 + fit.coefficients[0], fit


def _momentum(scene: Scene, buffer: str, side: int) -> float | None:
    module = buffer.rpartition(".")[0]
    captured = (scene.legacy, scene.migrated)[side].now
    for facts in captured.modules if captured is not None else ():
        if facts.name == module:
            match = re.search(r"momentum=([0-9.e+-]+)", facts.settings)
            return float(match[1]) if match else None
    return None
