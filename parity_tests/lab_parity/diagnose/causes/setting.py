"""Any other setting of the optimizer differs: LBFGS' history, SAM's radius, what an optimizer of one's own has."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Scene

PHASES = ("loss", "forward", "optimizer")
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


def find(scene: Scene) -> Iterator[Cause]:
    """Read from both sides. It explains a loss where the update has evaluated it before; then nothing goes first."""
    evaluated = scene.first.phase != "optimizer"
    if evaluated and scene.micro < 1:
        return
    for setting in scene.settings:
        if setting.name in _OF_THE_UPDATE:
            continue
        everyone = list(scene.legacy.history.steps[scene.first.step].hyper)
        size = setting.b if isinstance(setting.b, (int, float)) and not isinstance(setting.b, bool) else None
        yield Cause(
            "setting",
            f"{setting.name} is {setting.b!r} instead of {setting.a!r} on {which(list(setting.parameters), everyone)}.",
            setting.name,
            size=size,
            freedom=-1 if evaluated else 6,
            read=True,
            affected=setting.parameters,
            evidence=("the optimizer's settings, read on both sides",),
        )
