"""The decay rates of Adam's moments."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.moments import Moment, moments
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.second_update import second_betas
from lab_parity.diagnose.words import number

PHASES = ("optimizer", "param")
_NAMES = ("betas", "beta1", "beta2", "alpha", "rho")
_CLOSE = 0.02


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the settings where both sides show them, else fitted on the state, or on the second update."""
    if scene.first.phase == "param":
        yield from _hidden(scene)
        return
    for setting in scene.setting(*_NAMES):
        yield Cause(
            "betas",
            f"{setting.name} is {setting.b} instead of {setting.a}.",
            setting.name,
            size=setting.b if isinstance(setting.b, (int, float)) else None,
            freedom=0 if scene.steady(setting) else 2,
            read=True,
            affected=setting.parameters,
            evidence=("both values were read from the optimizers",),
        )
    if scene.settings:
        return
    known = [moment for moment in moments(scene) if moment.identified]
    adam = any(moment.order == 2 for moment in known)
    for moment in known:
        if moment.differs:
            if adam or _is_average(moment):
                yield from _one(moment)
            return


def _hidden(scene: Scene) -> Iterator[Cause]:
    """Where no state is shown, the second update tells."""
    found = second_betas(scene)
    if found is None:
        return
    apart = [
        (order, mine, other)
        for order, ((mine, error), (other, error_b)) in enumerate(zip(*found, strict=True), 1)
        if abs(mine - other) > 3 * (error + error_b)
    ]
    if not apart:
        return
    said = " and ".join(f"beta{order} is {other:.4g} instead of {mine:.4g}" for order, mine, other in apart)
    yield Cause(
        "betas",
        f"By the first two updates, which follow Adam's rule, {said}.",
        "betas",
        size=apart[0][2],
        freedom=len(apart),
        evidence=("both sides' first and second updates follow Adam's rule to rounding, by these numbers",),
    )


def _is_average(moment: Moment) -> bool:
    """Whether old and new are weighed with b and 1 - b on both sides (momentum adds the whole gradient)."""
    for side in ("legacy", "migrated"):
        old, new = moment.of("old", side), moment.of("gradient", side)
        if not 0 < new < 1 - _CLOSE**2 or (old and abs(old + new - 1) > _CLOSE * new):
            return False
    return True


def _alike(moment: Moment, new: str) -> bool:
    """Whether all that comes new into the moment changes by one factor: a decay comes with the gradient."""
    factor = moment.of(new, "migrated") / (moment.of(new) or 1e-30)
    rest = set(moment.change) | set(moment.legacy)
    for column in rest - {"old", new}:
        a, b = moment.of(column), moment.of(column, "migrated")
        if abs(b - factor * a) > 0.1 * abs((factor - 1) * a):
            return False
    return True


def _one(moment: Moment) -> Iterator[Cause]:
    new = "gradient" if moment.order == 1 else "gradient²"
    change_old, change_new = moment.change.get("old", 0.0), moment.change.get(new, 0.0)
    if not _alike(moment, new) or not change_new:
        return
    first_step = not moment.legacy.get("old")
    if not first_step and abs(change_old + change_new) > _CLOSE * abs(change_new):
        return  # a rate is lost by one and gained by the other
    a, b = (1 - moment.of(new, side) for side in ("legacy", "migrated"))
    if not -1e-6 <= b <= 1 + 1e-6:
        return
    yield Cause(
        "betas",
        f"beta{moment.order} is {number(b)} instead of {number(a)}: {moment.field} keeps that part of its old value.",
        f"betas, the one of the {'first' if moment.order == 1 else 'second'} moment",
        moment.fit,
        b,
        1,
        affected=moment.names,
    )
