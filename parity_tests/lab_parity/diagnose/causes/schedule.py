"""The schedule: the same values a step earlier or later, in another unit, or none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Run, Scene, Setting
from lab_parity.diagnose.words import number

PHASES = ("optimizer", "schedule")
_FURTHEST = 16
_CLOSE = 1e-9
_ROUNDED = 1e-7
"""By so much do two ways to work out a rate part: torch's schedules go on from the value before."""
_ANEW = 2


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the settings of all steps in both traces."""
    for setting in scene.settings:
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (setting.a, setting.b)):
            continue
        sides = [_taken(run, scene.first.step, setting) for run in (scene.legacy, scene.migrated)]
        at = sum(step < scene.first.step for step, _ in sides[0])
        a, b = ([value for _, value in side] for side in sides)
        micro_steps = max((step.micro_steps for step in scene.migrated.history.steps), default=1)
        yield from _compared(setting.name, a, b, at, scene.first.step, micro_steps)
    if scene.first.phase == "schedule" and not scene.settings:
        yield from _not_yet(scene)


def _taken(run: Run, at: int, setting: Setting) -> list[tuple[int, float]]:
    """(step, value) of the setting at every step of its optimizer, and of those that it took over from."""
    name, steps = setting.parameters[0], run.history.steps
    mine = [step for step in steps if name in step.hyper]
    labels = [label for label, _ in itertools.groupby(step.optimizer for step in mine)]
    if len(labels) != len(set(labels)):  # two that take turns on one parameter
        mine = [step for step in mine if step.optimizer == steps[at].optimizer]
    values = [(step.step, step.hyper[name].get(setting.name)) for step in mine]
    return [(step, float(value)) for step, value in values if isinstance(value, (int, float))]


def _not_yet(scene: Scene) -> Iterator[Cause]:
    """A schedule stands elsewhere, and the rates still agree."""
    name, _, field = scene.first.tensor.rpartition(" ")
    a, b = scene.first.a, scene.first.b
    if field == "last_epoch" and a is not None and b is not None:
        yield _cause(
            f"{name} stands at {number(b)} instead of {number(a)}: it was stepped {'more' if b > a else 'less'} often, "
            "or from another start; the rates agree so far.",
            "the learning rate",
            b - a,
            0,
        )


def _compared(name: str, a: Sequence[float], b: Sequence[float], at: int, step: int, micro: int) -> Iterator[Cause]:
    """`at` is the first of the values that differs, `step` the run's step that it belongs to."""
    if min(len(a), len(b)) <= at or (_constant(a) and _constant(b)):
        return
    if at >= _ANEW and _agree(a, b, at, -at):
        yield _cause(
            f"From step {step} on {name} is what the legacy run has from its first step on: the schedule begins anew.",
            name,
            float(-at),
            0,
        )
        return
    for size in range(1, _FURTHEST):
        for shift in (size, -size):
            if _agree(a, b, at, shift):
                when = "ahead" if shift > 0 else "behind"
                yield _cause(
                    f"From step {step} on {name} is what the legacy run has {abs(shift)} step{'s' * (size > 1)} "
                    f"{'later' if shift > 0 else 'earlier'}: the schedule is {when} by {abs(shift)}.",
                    name,
                    float(shift),
                    0,
                )
                return
    late_a, late_b = a[at:], b[at:]
    if min(len(late_a), len(late_b)) < 2:
        return  # of one value nobody can tell whether it stays
    if _constant(late_b) and not _constant(a):
        yield _cause(f"{name} stays at {number(late_b[0])}, the legacy run's follows a schedule.", name, None, 1)
    elif _constant(late_a) and not _constant(late_b):
        yield _cause(f"{name} follows a schedule, the legacy run's stays at {number(late_a[0])}.", name, None, 1)
    else:
        held, speed, slowness = _held(b), _speed(a, b), _speed(b, a)
        if held > 1 and _held(a) == 1:
            yield _cause(
                f"{name} changes every {held} steps, the legacy run's every step: the schedule's unit.", name, None, 1
            )
        elif speed:
            why = ", once a micro-step instead of once a step" if speed == micro else ""
            yield _cause(
                f"{name} runs through the legacy run's schedule {speed} times as fast{why}.", name, float(speed), 0
            )
        elif slowness:
            yield _cause(
                f"{name} takes {slowness} steps for each of the legacy run's schedule: it is {slowness} times as long, "
                "or is stepped less often.",
                name,
                1 / slowness,
                0,
            )
        elif _apart(a[at:], b[at:]):
            shown = f"{number(b[at])}, {number(b[at + 1])} against {number(a[at])}, {number(a[at + 1])}"
            yield _cause(f"From step {step} on {name} follows another schedule: {shown}, ….", name, None, 1)


def _speed(a: Sequence[float], b: Sequence[float]) -> int:
    """n > 1 where b[t] = a[n · t], at all steps that both have, at least two with different values; 0 for none.

    Or a[n · t + n - 1]: a schedule that is stepped at each of n micro-steps has gone on n - 1 times by the first step.
    """
    for speed in range(2, _FURTHEST):
        for first in (0, speed - 1):
            places = [t for t in range(len(b)) if speed * t + first < len(a)]
            pairs = [(b[t], a[speed * t + first]) for t in places]
            same = all(abs(mine - other) <= _ROUNDED * abs(other) for mine, other in pairs)
            if same and len(places) >= 3 and not _constant([mine for mine, _ in pairs]):
                return speed
    return 0


def _apart(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether the values are neither the same number of times the legacy ones throughout, nor as far from them."""
    places = range(min(len(a), len(b)))
    ratios = [b[t] / a[t] for t in places if a[t]]
    offsets = [b[t] - a[t] for t in places]
    spread = [max(values) - min(values) > 1e-6 * max(map(abs, values)) for values in (ratios, offsets) if values]
    return len(ratios) >= 2 and all(spread)


def _agree(a: Sequence[float], b: Sequence[float], at: int, shift: int) -> bool:
    """b[t] = a[t + shift] at all steps from `at` on that both have, at least two of them with different values."""
    places = [t for t in range(at, len(b)) if 0 <= t + shift < len(a)]
    same = all(abs(b[t] - a[t + shift]) <= _CLOSE * abs(a[t + shift]) for t in places)
    return same and len(places) >= 2 and not _constant([b[t] for t in places])


def _constant(values: Sequence[float]) -> bool:
    return all(value == values[0] for value in values)


def _held(values: Sequence[float]) -> int:
    """How many steps a value lasts at least, in the middle of the run."""
    runs = [1]
    for mine, following in itertools.pairwise(values):
        if mine == following:
            runs[-1] += 1
        else:
            runs.append(1)
    return min(runs[:-1], default=runs[0])


def _cause(sentence: str, name: str, size: float | None, freedom: int) -> Cause:
    return Cause(
        "schedule",
        sentence,
        f"schedule of {name}: its first step, its length, where it is stepped, its unit (step or epoch)",
        size=size,
        freedom=freedom,
        read=True,
        evidence=("read from the settings of all steps in both traces",),
    )
