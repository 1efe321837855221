"""The learning rate: the update is c times the legacy update, of all parameters or of some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.first_update import first_update
from lab_parity.diagnose.fit import Fit, flat, is_multiple, measure
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Scene, Setting, own_step_before
from lab_parity.diagnose.updates import Multiples, Update, multiples, updates
from lab_parity.diagnose.words import number, times

PHASES = ("optimizer", "param")
_MOST_GROUPS = 4


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the settings where both sides show them, else fitted on the updates."""
    read = scene.setting("lr", "learning_rate")
    for setting in read:
        yield from _read(scene, setting)
    if read or scene.first.phase != "param":
        return
    adam = first_update(scene)
    if adam is not None and (adam.uncorrected() is not None or adam.floors_differ):
        return  # see `bias_correction` and `epsilon`
    listed = updates(scene)
    found = multiples(listed, lambda update: update.change_a)
    if not 0 < len(found.groups) <= _MOST_GROUPS or any(abs(value + 1) < 1e-3 for value, _ in found.groups):
        return  # an update of nothing is no learning rate
    if len(found.groups) > 2 and all(len(names) == 1 for _, names in found.groups):
        return  # a factor of each tensor's own: it is clipped or scaled by what is in it
    if not _moves_alike(listed, found):
        return
    if all(abs(value + 2) < 1e-6 for value, _ in found.groups):
        yield Cause(
            "setting",
            "The migrated update is the legacy one with the opposite sign: one side ascends.",
            "maximize",
            found.fit,
            -1.0,
            affected=found.names,
        )
        return
    everyone = [update.name for update in listed]
    before = scene.legacy.tensors("param", "before")
    said = [
        f"{times(1 + value)} the legacy one on {which(names, everyone, before, found.undecided)}"
        for value, names in found.groups
    ]
    unseen = not any(run.state_fields for run in (scene.legacy, scene.migrated))
    first = unseen and own_step_before(scene.legacy.history.steps, scene.first.step) < 0
    # A momentum that no state shows has nothing but this gradient in it yet.
    takes_in = ", or, at this first step, the part of the gradient that a momentum takes in (dampening)"
    beside = takes_in if first and adam is None else ""
    yield Cause(
        "lr",
        f"The migrated update is {' and '.join(said)}: the learning rate{beside}.",
        "learning rate" if len(found.groups) == 1 else "learning rates of the parameter groups",
        found.fit,
        1 + found.groups[0][0],
        len(found.groups) + bool(found.untouched),
        affected=found.names,
    )


def _moves_alike(listed: Sequence[Update], found: Multiples) -> bool:
    """Whether the migrated updates, too, are those multiples: next to large ones any small update is nearly none."""
    factors = {name: 1 + value for value, names in found.groups for name in names}
    return all(
        is_multiple([u.change_a], [u.change_a + u.difference], factors[u.name], [u.noise])
        for u in listed
        if u.name in factors and u.name not in found.undecided
    )


def _read(scene: Scene, setting: Setting) -> Iterator[Cause]:
    if not all(isinstance(value, (int, float)) for value in (setting.a, setting.b)):
        return
    where = which(setting.parameters, list(scene.legacy.history.steps[scene.first.step].hyper))
    if not setting.a:
        said = f"The learning rate is {number(setting.b)} instead of 0 on {where}."
        evidence = ("both values were read from the optimizers",)
        yield Cause("lr", said, setting.name, read=True, affected=setting.parameters, evidence=evidence)
        return
    ratio = setting.b / setting.a
    fit = _fit(scene, ratio, set(setting.parameters))
    steady = _steady(scene, setting.parameters[0], setting.name, ratio)
    yield Cause(
        "lr",
        f"The learning rate is {times(ratio)} the legacy one ({number(setting.a)} against {number(setting.b)}) on "
        f"{where}.",
        setting.name,
        fit,
        ratio,
        0 if steady else 2,
        True,
        setting.parameters,
        () if fit else ("both values were read from the optimizers; the updates could not be fitted",),
    )


def _fit(scene: Scene, ratio: float, names: set[str]) -> Fit | None:
    """Of two forms: the whole update is scaled; or what this gradient adds to it, where momentum has taken in the rate.

    The second is `m = momentum · m + lr · g; p = p - m`.
    """
    gradients = scene.legacy.tensors("grad", "before")
    listed = [update for update in updates(scene) if update.name in names]
    rate = scene.hyper(next(iter(names)), "lr", "learning_rate")
    for form in ("update", "gradient"):
        if form == "gradient" and not all(update.name in gradients for update in listed):
            continue
        left = [
            update.difference
            - (ratio - 1) * (update.change_a if form == "update" else -rate * flat(gradients[update.name]))
            for update in listed
        ]
        fit = measure([update.difference for update in listed], left, [update.noise for update in listed], [ratio])
        if listed and fit.holds:
            return fit
    return None


def _steady(scene: Scene, parameter: str, name: str, ratio: float) -> bool:
    """Whether it is that ratio at every later step, too."""
    sides = (scene.legacy.history.steps, scene.migrated.history.steps)
    for a, b in zip(*(side[scene.first.step :] for side in sides), strict=False):
        mine, other = (step.hyper.get(parameter, {}).get(name) for step in (a, b))
        if mine and other is not None and abs(other / mine - ratio) > 1e-6 * abs(ratio):
            return False
    return True
