"""Any other setting of the optimizer differs: LBFGS' history, SAM's radius, what an optimizer of one's own has."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.held import held_apart
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Scene

PHASES = ("loss", "forward", "optimizer", "param")
_OF_THE_UPDATE = {
    "lr",
    "betas",
    "momentum",
    "weight_decay",
    "decay",
    "eps",
    "dampening",
    "nesterov",
    "alpha",
}
"""They say what the update does with its gradients; other causes know them."""
_CALLED = {
    **dict.fromkeys(("lr", "learning_rate", "step_size"), "lr"),
    **dict.fromkeys(("betas", "beta1", "beta2", "beta_1", "beta_2", "b1", "b2"), "betas"),
    **dict.fromkeys(("weight_decay", "wd", "decay"), "decay"),
    **dict.fromkeys(("eps", "epsilon"), "epsilon"),
    "momentum": "momentum",
}
"""Causes of the same name as what an optimizer of one's own keeps in an attribute."""


def find(scene: Scene) -> Iterator[Cause]:
    """Read from both sides. It explains a loss where the update has evaluated it before; then nothing goes first."""
    evaluated = scene.first.phase not in ("optimizer", "param")
    if evaluated and scene.micro < 1:
        return
    if not scene.settings:
        yield from _held(scene)
    others = [setting for setting in scene.settings if setting.name not in _OF_THE_UPDATE]
    # One may follow from another (LBFGS' max_eval from its max_iter): all of one set of parameters are told together.
    for parameters in dict.fromkeys(setting.parameters for setting in others):
        told = [setting for setting in others if setting.parameters == parameters]
        everyone = list(scene.legacy.history.steps[scene.first.step].hyper)
        first = told[0].b
        size = first if isinstance(first, (int, float)) and not isinstance(first, bool) else None
        said = "; ".join(f"{setting.name} is {setting.b!r} instead of {setting.a!r}" for setting in told)
        yield Cause(
            "setting",
            f"{said} on {which(list(parameters), everyone)}.",
            ", ".join(setting.name for setting in told),
            size=size,
            freedom=-1 if evaluated else 6,
            read=True,
            affected=parameters,
            evidence=("the optimizer's settings, read on both sides",),
        )


def _held(scene: Scene) -> Iterator[Cause]:
    """What no parameter group tells: numbers in the optimizer's attributes."""
    if scene.legacy.now is None or scene.migrated.now is None or scene.first.phase not in ("optimizer", "param"):
        return
    apart = held_apart(scene.legacy.now.held, scene.migrated.now.held)
    if not apart:
        return
    said = "; ".join(one.sentence() for one in apart[:3]) + "; …" * (len(apart) > 3)
    # Of several, any may be the one.
    known = _CALLED.get(apart[0].name.lower().lstrip("_"), "setting") if len(apart) == 1 else "setting"
    yield Cause(
        known,
        f"The optimizer ({scene.legacy.now.kind.rpartition('.')[2]}) holds other numbers: {said}.",
        ", ".join(one.name for one in apart[:3]),
        size=float(apart[0].b) if isinstance(apart[0].b, (int, float)) else None,
        freedom=4,
        read=True,
        evidence=("attributes of the optimizer's object, read on both sides before the update",),
    )
