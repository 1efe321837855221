"""The average of the parameters: its decay, a warm-up of it, an update that is left out."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import Fit, flat, gradient_noise, least_squares
from lab_parity.diagnose.scene import Run, Scene, own_step_before
from lab_parity.diagnose.words import number

PHASES = ("ema", "forward", "loss")


def find(scene: Scene) -> Iterator[Cause]:
    """Fits `average = d · average before + (1 - d) · parameter` on both sides, from this step and the one before.

    An average may feed the loss (a target network, a momentum encoder), and is then seen there first.
    """
    if not scene.averages_differ:
        return
    fits = [_decay(run) for run in (scene.legacy, scene.migrated)]
    step = own_step_before(scene.legacy.history.steps, scene.first.step) + 1
    if fits[0] is None or fits[1] is None:
        return
    (a, own), (b, other) = fits[0], fits[1]
    names = tuple(pair.name for pair in scene.pairs("ema", "after") if not pair.a.equal(pair.b))
    if own.share > 1e-3 or other.share > 1e-3:
        yield from _two_parts(scene, step, names)
        return
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


def _two_parts(scene: Scene, step: int, names: tuple[str, ...]) -> Iterator[Cause]:
    """Old and new part are no whole on one side: `q.mul_(0.9).add_(p, alpha=0.01)`."""
    parts = [_parts(run) for run in (scene.legacy, scene.migrated)]
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


def _parts(run: Run) -> Fit:
    """average = d · average before + e · parameter."""
    new, old, values = run.tensors("ema", "after"), run.own_past("ema", "after"), run.own_past("param", "after")
    names = [name for name in new if name in old and name in values and new[name].is_floating_point()]
    columns = [[flat(side[name]) for name in names] for side in (old, values)]
    return least_squares([flat(new[name]) for name in names], columns, [gradient_noise(new[name]) for name in names])


def _decay(run: Run) -> tuple[float, Fit] | None:
    new, old, values = run.tensors("ema", "after"), run.own_past("ema", "after"), run.own_past("param", "after")
    names = [name for name in new if name in old and name in values and new[name].is_floating_point()]
    if not names:
        return None
    # average - parameter = d · (average before - parameter)
    fit = least_squares(
        [flat(new[name]) - flat(values[name]) for name in names],
        [[flat(old[name]) - flat(values[name]) for name in names]],
        [gradient_noise(new[name]) for name in names],
    )
    return fit.coefficients[0], fit


def _warm_up(step: int, decay: float) -> bool:
    return any(abs(decay - (1 + n) / (10 + n)) < 1e-6 for n in (step - 1, step, step + 1) if n >= 0)
