"""The average of the parameters: its decay, a warm-up of it, one left out, one before the step's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs
from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.copied import copies_inside, is_rounded
from lab_parity.diagnose.fit import Fit, flat, gradient_noise, least_squares
from lab_parity.diagnose.lagging import lagging
from lab_parity.diagnose.scene import Run, Scene, own_step_before, same_bits
from lab_parity.diagnose.words import number
from lab_parity.listing import some_of

PHASES = ("config", "ema", "forward", "loss")


def find(scene: Scene) -> Iterator[Cause]:
    """Fits `average = d · average before + (1 - d) · parameter` on both sides, from this step and the one before.

    An average may feed the loss (a target network, a momentum encoder), and is then seen there first.
    """
    yield from lagging(scene)
    copied = copies_inside(scene)
    averages = [_averages(run, copied) for run in (scene.legacy, scene.migrated)]
    names = tuple(
        name
        for name, mine in averages[0].new.items()
        if name in averages[1].new and not same_bits(mine, averages[1].new[name])
    )
    if not names:
        return
    if scene.first.phase == "ema" and all(name.partition("@")[0] in _buffers(scene) for name in names):
        yield _of_buffers(scene, averages, names)
        return
    if not any(side.old for side in averages):
        yield from _before_the_first(scene, averages, names)
    if not all(side.old for side in averages):
        yield from _begins(scene)
        return
    fits = [_decay(side) for side in averages]
    step = own_step_before(scene.legacy.history.steps, scene.first.step) + 1
    if fits[0] is None or fits[1] is None:
        return
    (a, own), (b, other) = fits[0], fits[1]
    if own.share > 1e-3 or other.share > 1e-3:
        yield from _two_parts(averages, step, names)
        return
    if number(a) == number(b):
        return  # by last bits: see `rounding`
    said = f"keeps {number(b)} of its old value after step {step - 1} instead of {number(a)}"
    if abs(b - 1) < 1e-6 or abs(a - 1) < 1e-6:
        side, other_side, kept = ("migrated", "legacy", a) if abs(b - 1) < 1e-6 else ("legacy", "migrated", b)
        said = f"is not updated after step {step - 1} in the {side} run"
        if abs(kept) < 1e-6:
            said += f", and is made a copy of them in the {other_side} one"
    count = _warm_up(step, b), _warm_up(step, a)
    warm = next((side for side, value in zip(("migrated", "legacy"), count, strict=True) if value), "")
    why = f" The {warm} decay is (1 + n) / (10 + n), a warm-up by the number of updates." if warm else ""
    yield Cause(
        "ema",
        f"The average of the parameters {said}.{why}",
        "decay of the moving average, its warm-up, and where it is updated",
        other if other.before else None,  # a copy of the parameters leaves nothing to fit
        b,
        1,
        affected=names,
        evidence=(f"the legacy average follows the same rule with {number(a)}: {own.sentence()}",),
    )


def _buffers(scene: Scene) -> dict[str, Tensor]:
    return scene.legacy.tensors("buffer", "after")


def _of_buffers(scene: Scene, averages: Sequence[_Averages], names: tuple[str, ...]) -> Cause:
    """What the average is evaluated with beside its parameters: running statistics, mostly."""
    said = []
    for which, side, run in zip(("legacy", "migrated"), averages, (scene.legacy, scene.migrated), strict=True):
        trained = run.own_past("buffer", "after") or run.tensors("buffer", "before")
        known = [name for name in names if name in side.old]
        if all(name in trained and same_bits(side.new[name], trained[name]) for name in names):
            said.append(f"copies of the trained model's in the {which} run")
        elif known and all(same_bits(side.new[name], side.old[name]) for name in known):
            said.append(f"left as they were in the {which} run")
        else:
            said.append(f"something else in the {which} run")
    return Cause(
        "ema",
        f"The average's parameters agree, its buffers ({some_of(list(names))}) do not: they are {said[0]}, {said[1]}.",
        "buffers of the averaged model: copied, averaged, or left out",
        affected=names,
        read=True,
        evidence=("buffers of the average and of the trained model, compared bit by bit on both sides",),
    )


def _before_the_first(scene: Scene, averages: Sequence[_Averages], names: tuple[str, ...]) -> Iterator[Cause]:
    """Averages that are updated before a step are so once before the first one: by rounding, being copies."""
    names = tuple(name for name in names if name.partition("@")[0] not in _buffers(scene))
    if not names:
        return
    own = [
        all(name in side.values and same_bits(side.new[name], side.values[name]) for name in names) for side in averages
    ]
    near = [
        all(name in side.values and is_rounded(side.new[name], side.values[name]) for name in names)
        for side in averages
    ]
    if not all(near) or all(own):
        return
    said = "is updated otherwise before the first step (by rounding alone, being a copy: another decay)"
    if any(own):
        side, other = ("migrated", "legacy") if own[1] else ("legacy", "migrated")
        said = (
            f"is not updated before the first step in the {side} run; in the {other} one it is, which has rounded it: "
            "it is updated before the optimizer's step there, or in the forward call, and lags a step behind"
        )
    yield Cause(
        "ema",
        f"The averaged copy of the parameters ({some_of(names)}) {said}.",
        "the update of the averaged copy (momentum encoder, teacher, target), and its decay",
        freedom=1 if any(own) else 5,
        affected=names,
        evidence=("compared with the parameters that it is a copy of, on both sides",),
    )


def _begins(scene: Scene) -> Iterator[Cause]:
    """One side's average is there a step before the other's; or nobody knows what it was before."""
    if scene.first.phase != "ema":
        return
    there = [bool(run.history.averages) for run in (scene.legacy, scene.migrated)]
    step = own_step_before(scene.legacy.history.steps, scene.first.step)
    if step < 0:
        return
    if there[0] != there[1]:
        late, other = ("migrated", "legacy") if there[0] else ("legacy", "migrated")
        said = f"begins behind step {step} in the {late} run, earlier in the {other} one"
    else:
        said = (
            "differs where it is first seen to change: in what it began with (loaded weights), in its decay, or in "
            "when it is updated; what it was before was not recorded"
        )
    yield Cause(
        "ema",
        f"The average of the parameters {said}.",
        "when the moving average begins, what with, and its decay",
        freedom=5,
        read=True,
        evidence=("the steps at which each side's average is there, in both traces",),
    )


def _two_parts(averages: Sequence[_Averages], step: int, names: tuple[str, ...]) -> Iterator[Cause]:
    """Old and new part are no whole on one side: `q.mul_(0.9).add_(p, alpha=0.01)`."""
    parts = [_parts(side) for side in averages]
    if any(fit.share > 1e-3 for fit in parts):
        return
    (a, new_a), (b, new_b) = (fit.coefficients for fit in parts)
    yield Cause(
        "ema",
        f"After step {step - 1} the average of the parameters keeps {number(b)} of its old value and takes in "
        f"{number(new_b)} of them, in the legacy run {number(a)} and {number(new_a)}.",
        "decay of the moving average: the parts of old and new",
        parts[1],
        b,
        2,
        affected=names,
        evidence=(f"the legacy average follows that rule: {parts[0].sentence()}",),
    )


@attrs.frozen
class _Averages:
    """One side's averages now and before, and the parameters that they average, by the averages' names."""

    new: Mapping[str, Tensor]
    old: Mapping[str, Tensor]
    values: Mapping[str, Tensor]

    @property
    def known(self) -> list[str]:
        """Those of which all three are there."""
        return [
            name for name in self.new if name in self.old and name in self.values and self.new[name].is_floating_point()
        ]


def _averages(run: Run, copied: Mapping[str, str]) -> _Averages:
    """Those of the phase `ema`, and parameters without a gradient that are `copied` from others."""
    after, past = run.tensors("param", "after"), run.own_past("param", "after")
    values = past or run.tensors("param", "before")
    new, old = run.tensors("ema", "after"), run.own_past("ema", "after")
    new |= {name: after[name] for name in copied if name in after}
    old |= {name: past[name] for name in copied if name in past}
    values = values | {name: values[other] for name, other in copied.items() if other in values}
    return _Averages(new, old, values)


def _parts(side: _Averages) -> Fit:
    """average = d · average before + e · parameter."""
    columns = [[flat(tensors[name]) for name in side.known] for tensors in (side.old, side.values)]
    new = [side.new[name] for name in side.known]
    return least_squares(list(map(flat, new)), columns, list(map(gradient_noise, new)))


def _decay(side: _Averages) -> tuple[float, Fit] | None:
    if not side.known:
        return None
    # average - parameter = d · (average before - parameter)
    fit = least_squares(
        [flat(side.new[name]) - flat(side.values[name]) for name in side.known],
        [[flat(side.old[name]) - flat(side.values[name]) for name in side.known]],
        [gradient_noise(side.new[name]) for name in side.known],
    )
    return fit.coefficients[0], fit


def _warm_up(step: int, decay: float) -> bool:
    return any(abs(decay - (1 + n) / (10 + n)) < 1e-6 for n in (step - 1, step, step + 1) if n >= 0)
