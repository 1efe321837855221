"""Adam's epsilon: its value, and where it is added."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lab_parity.diagnose.adam import PLACES, Form, identify
from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.first_update import Rule, first_update
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.words import fitted, number, times

PHASES = ("optimizer", "param")
_WHERE = {
    "outside": "outside the root, sqrt(v̂) + eps",
    "inside": "inside the root, sqrt(v̂ + eps)",
    "hat": "before the bias correction, sqrt(v) + eps",
}


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the settings where both sides show them, else fitted on the updates."""
    for setting in scene.setting("eps", "epsilon"):
        yield Cause(
            "epsilon",
            f"Epsilon is {setting.b} instead of {setting.a}.",
            setting.name,
            size=setting.b if isinstance(setting.b, (int, float)) else None,
            freedom=0 if scene.steady(setting) else 2,
            read=True,
            affected=setting.parameters,
            evidence=("both values were read from the optimizers",),
        )
    if scene.settings or scene.first.phase != "param" or not scene.captured:
        return
    yield from _of_the_first(scene)
    forms = identify(scene)
    if not forms:
        return
    adam, own = forms[0], forms[0].form
    evidence = (
        f"the legacy update is Adam's with epsilon {fitted(own.eps)} {_WHERE[own.place]}: this leaves "
        f"{adam.own.after:.2g} rounding errors an element",
    )
    form, fit = adam.best_eps(own.place, own.count)
    yield Cause(
        "epsilon",
        f"Epsilon is {fitted(form.eps)} instead of {fitted(own.eps)}.",
        "epsilon",
        fit,
        form.eps,
        1,
        evidence=evidence,
    )
    for place in PLACES:
        if place != own.place:
            yield Cause(
                "epsilon",
                f"Epsilon {fitted(own.eps)} is added {_WHERE[place]}, instead of {_WHERE[own.place]}.",
                "epsilon: where it is added",
                adam.explains(Form(place, own.count, own.eps)),
                None,
                0,
                evidence=evidence,
            )


def _of_the_first(scene: Scene) -> Iterator[Cause]:
    """Of an optimizer that shows no state: its first update alone tells."""
    update = first_update(scene)
    if update is None or not update.floors_differ or update.uncorrected() is not None:
        return
    a, b = _written(update.legacy), _written(update.migrated)
    also = "" if abs(update.ratio - 1) < 1e-3 else f", and the learning rate is {times(update.ratio)} the legacy one"
    yield Cause(
        "epsilon",
        f"By the optimizer's first update, which is Adam's, epsilon is {b} instead of {a}{also}.",
        "epsilon",
        size=update.migrated.floor,
        freedom=1,
        read=True,
        evidence=("both first updates are -lr · g / (|g| + epsilon), to rounding",),
    )


def _written(side: Rule) -> str:
    """A power of ten where it may be one, else to the digits that are told."""
    if side.floor <= 2 * side.floor_error:
        return f"at most {side.floor + 2 * side.floor_error:.1g}"
    power = 10.0 ** round(math.log10(side.floor))
    return number(power) if abs(power - side.floor) <= 3 * side.floor_error else f"{side.floor:.2g}"
