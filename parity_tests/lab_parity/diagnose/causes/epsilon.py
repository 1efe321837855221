"""Adam's epsilon: its value, and where it is added."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.adam import PLACES, Form, identify
from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.words import fitted

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
