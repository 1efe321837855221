"""The momentum coefficient: how much of its old value the buffer keeps, or of the update before, where none is seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import Fit, flat, least_squares, measure, rounding
from lab_parity.diagnose.moments import moments
from lab_parity.diagnose.scene import Run, Scene
from lab_parity.diagnose.words import number

PHASES = ("optimizer", "param")


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the settings where both sides show them, else fitted on the state."""
    for setting in scene.setting("momentum", "mu"):
        yield Cause(
            "momentum",
            f"The momentum is {setting.b} instead of {setting.a}.",
            setting.name,
            size=setting.b if isinstance(setting.b, (int, float)) else None,
            freedom=0 if scene.steady(setting) else 2,
            read=True,
            affected=setting.parameters,
            evidence=("both values were read from the optimizers",),
        )
    if scene.settings:
        return
    if scene.first.phase == "param":
        yield from _unseen(scene)
        return
    for moment in moments(scene):
        if not moment.differs:
            continue
        if moment.identified and moment.order == 1 and set(moment.change) == {"old"}:
            a, b = (moment.of("old", side) for side in ("legacy", "migrated"))
            yield Cause(
                "momentum",
                f"The momentum is {number(b)} instead of {number(a)}: {moment.field} keeps that part of its old value.",
                "momentum",
                moment.fit,
                0.0 if abs(b) < 1e-6 else b,
                1,
                affected=moment.names,
            )
        return


def _unseen(scene: Scene) -> Iterator[Cause]:
    """An optimizer of the program's own that shows no buffer: its update is `momentum · the one before - lr · g`."""
    if any(run.state_fields for run in (scene.legacy, scene.migrated)):
        return
    a, b = _by_the_one_before(scene.legacy), _by_the_one_before(scene.migrated)
    if a is None or b is None:
        return
    if abs(a.rate / b.rate - 1) > 1e-4 or abs(a.kept - b.kept) < 1e-5:
        return
    left = [(y - x) - (q - p) for x, y, p, q in zip(a.seen, b.seen, a.predicted, b.predicted, strict=True)]
    noise = [x + y for x, y in zip(a.noise, b.noise, strict=True)]
    fit = measure([y - x for x, y in zip(a.seen, b.seen, strict=True)], left, noise, [b.kept])
    yield Cause(
        "momentum",
        f"The update keeps {number(b.kept)} of the one before instead of {number(a.kept)}: the momentum.",
        "momentum",
        fit,
        b.kept,
        1,
        evidence=(f"the legacy update follows that rule: {a.fit.sentence()}",),
    )


@attrs.frozen
class _Rule:
    rate: float
    kept: float
    seen: Sequence[Tensor]
    predicted: Sequence[Tensor]
    noise: Sequence[Tensor]
    fit: Fit


def _by_the_one_before(run: Run) -> _Rule | None:
    """By how much of the gradient and of the update before this one goes, where it goes by nothing else."""
    gradients, earlier = run.tensors("grad", "before"), run.own_past("param", "before")
    old, now, new = run.own_past("param", "after"), run.tensors("param", "before"), run.tensors("param", "after")
    names = [n for n in new if n in gradients and n in earlier and n in old and new[n].is_floating_point()]
    seen = [flat(new[n]) - flat(now[n]) for n in names]
    noise = [rounding(now[n], new[n]) + rounding(earlier[n], old[n]) for n in names]
    columns = [[-flat(gradients[n]) for n in names], [flat(old[n]) - flat(earlier[n]) for n in names]]
    if not names:
        return None
    fit = least_squares(seen, columns, noise)
    if fit.share > 1e-3 or not fit.coefficients[0]:
        return None
    rate, kept = fit.coefficients
    return _Rule(rate, kept, seen, [rate * g + kept * c for g, c in zip(*columns, strict=True)], noise, fit)
