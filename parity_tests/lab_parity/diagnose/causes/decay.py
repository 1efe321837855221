"""Weight decay: what the migrated update does more is proportional to the parameter itself."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.updates import multiples, updates
from lab_parity.diagnose.words import number

PHASES = ("optimizer", "param")
_MOST_GROUPS = 2


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the settings where both sides show them, else fitted on the updates."""
    read = scene.setting("weight_decay", "decay", "wd", "decoupled_weight_decay")
    everyone = list(scene.legacy.history.steps[scene.first.step].hyper) if scene.captured or read else []
    before = scene.legacy.tensors("param", "before")
    for setting in read:
        where = which(setting.parameters, everyone, before or None)
        yield Cause(
            "decay",
            f"The weight decay is {setting.b} instead of {setting.a} on {where} ({setting.name}).",
            setting.name,
            size=setting.b if isinstance(setting.b, (int, float)) else None,
            affected=setting.parameters,
            evidence=("both values were read from the optimizers",),
        )
    if scene.first.phase != "param":
        return
    listed = updates(scene)
    rates = {update.name: scene.hyper(update.name, "lr", "learning_rate") for update in listed}
    known = all(isinstance(rate, (int, float)) and rate for rate in rates.values())
    found = multiples(listed, lambda update: update.before * (-rates[update.name] if known else -1.0))
    if not 0 < len(found.groups) <= _MOST_GROUPS:
        return
    value, names = found.groups[0]
    amount = f"weight decay {number(abs(value))}" if known else f"{number(abs(value))} of it a step"
    less = "missing" if value < 0 else "extra"
    yield Cause(
        "decay",
        f"The updates differ by a multiple of the parameter: {less} {amount} on "
        f"{which(names, everyone, before, found.undecided)}.",
        "weight decay, and the parameters that it applies to",
        found.fit,
        value,
        len(found.groups) + bool(found.untouched),
        affected=found.names,
    )
