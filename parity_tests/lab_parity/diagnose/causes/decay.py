"""Weight decay: what the migrated update does more is proportional to the parameter itself."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import flat, gradient_noise, least_squares
from lab_parity.diagnose.gradients import added
from lab_parity.diagnose.moments import Moment, moments
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Pair, Scene, same_bits
from lab_parity.diagnose.updates import multiples, updates
from lab_parity.diagnose.words import number

PHASES = ("loss", "grad", "optimizer", "param")
_MOST_GROUPS = 2
_MIXED = ("gradient · parameter", "parameter²")
_NAMES = ("weight_decay", "decay", "wd", "decoupled_weight_decay")


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the settings where both sides show them, else fitted on updates, state or gradients."""
    read = list(_read(scene))
    yield from read
    if read or scene.settings:
        return
    if scene.first.phase == "param":
        yield from _in_the_update(scene)
    elif scene.first.phase == "optimizer":
        yield from _in_the_state(scene)
    elif scene.first.phase == "loss":
        yield from _in_the_loss(scene)
    else:
        yield from _in_the_gradient(scene)


def _read(scene: Scene) -> Iterator[Cause]:
    before = scene.legacy.tensors("param", "before")
    for setting in scene.setting(*_NAMES):
        everyone = list(scene.legacy.history.steps[scene.first.step].hyper)
        where = which(setting.parameters, everyone, before or None)
        value = setting.b if isinstance(setting.b, (int, float)) and not isinstance(setting.b, bool) else None
        said = f"The weight decay is {setting.b} instead of {setting.a} on {where} ({setting.name})."
        if isinstance(setting.b, bool) and isinstance(setting.a, bool):
            how = "apart from the gradient" if setting.b else "as a part of the gradient"
            said = f"The weight decay acts {how} in the migrated run, not so in the legacy one ({setting.name})."
        yield Cause(
            "decay",
            said,
            setting.name,
            size=value,
            freedom=(0 if scene.steady(setting) else 2) + isinstance(setting.b, bool),
            read=True,
            affected=setting.parameters,
            evidence=("both values were read from the optimizers",),
        )


def _in_the_update(scene: Scene) -> Iterator[Cause]:
    listed = updates(scene)
    rates = {update.name: scene.hyper(update.name, "lr", "learning_rate") for update in listed}
    known = all(isinstance(rate, (int, float)) and rate for rate in rates.values())
    found = multiples(listed, lambda update: update.before * (-rates[update.name] if known else -1.0))
    if not 0 < len(found.groups) <= _MOST_GROUPS:
        return
    value, names = found.groups[0]
    amount = f"weight decay {number(abs(value))}" if known else f"{number(abs(value))} of it a step"
    where = which(names, [update.name for update in listed], scene.legacy.tensors("param", "before"), found.undecided)
    less = "missing" if value < 0 else "extra"
    yield Cause(
        "decay",
        f"The updates differ by a multiple of the parameter: {less} {amount} on {where}.",
        "weight decay, and the parameters that it applies to",
        found.fit,
        value,
        len(found.groups) + bool(found.untouched),
        affected=found.names,
    )


def _in_the_state(scene: Scene) -> Iterator[Cause]:
    for moment in moments(scene):
        if not moment.differs:
            continue
        if moment.order == 2:
            yield from _in_the_squares(moment)
            return
        if set(moment.change) != {"parameter"} or not moment.identified:
            return
        value = moment.change["parameter"] / (moment.of("gradient") or 1.0)
        a, b = (moment.of("parameter", side) / (moment.of("gradient") or 1.0) for side in ("legacy", "migrated"))
        if min(a, b) < -0.02 * abs(value):
            return  # no moment takes that in: it is an average of the parameters
        if abs(b) < 0.02 * abs(value):
            said = f"The legacy gradient takes in weight decay {number(a)}, the migrated one does not"
        elif abs(a) < 0.02 * abs(value):
            said = f"The migrated gradient takes in weight decay {number(b)}, the legacy one does not"
        else:
            said = f"The weight decay that the gradient takes in is {number(b)} instead of {number(a)}"
        yield Cause(
            "decay",
            f"{said}: decay through the gradient (L2), as seen in {moment.field}.",
            "weight decay: its amount, or whether it is decoupled (AdamW) or goes through the gradient (Adam)",
            moment.fit,
            b,
            1,
            affected=moment.names,
        )
        return


def _in_the_squares(moment: Moment) -> Iterator[Cause]:
    """(g + w · p)² takes in 2 w · g · p and w² · p², in the proportion in which it takes in g²."""
    part = moment.of("gradient²")
    if not moment.identified or not part or not moment.change or not set(moment.change) <= set(_MIXED):
        return
    a, b = (moment.of("gradient · parameter", side) / 2 / part for side in ("legacy", "migrated"))
    squares = [moment.of("parameter²", side) / part for side in ("legacy", "migrated")]
    amount = max(abs(a), abs(b))
    if min(a, b) < -0.02 * amount or any(abs(s - w**2) > 0.1 * amount**2 for s, w in zip(squares, (a, b), strict=True)):
        return
    yield Cause(
        "decay",
        f"The weight decay that the gradient takes in is {number(b)} instead of {number(a)}: decay through the "
        f"gradient (L2), as seen in {moment.field}.",
        "weight decay: its amount, or whether it is decoupled or goes through the gradient",
        moment.fit,
        b,
        1,
        affected=moment.names,
    )


def _in_the_gradient(scene: Scene) -> Iterator[Cause]:
    before = scene.legacy.tensors("param", "before")
    pairs = [pair for pair in scene.pairs("grad", "before") if pair.name in before and pair.a.is_floating_point()]
    everyone = [pair.name for pair in pairs]
    pairs = [pair for pair in pairs if not same_bits(pair.a, pair.b)]
    noise = [gradient_noise(pair.a, pair.b) for pair in pairs]
    fit = least_squares([flat(p.b) - flat(p.a) for p in pairs], [[flat(before[pair.name]) for pair in pairs]], noise)
    if pairs and fit.holds:
        value = fit.coefficients[0]
        where = which([pair.name for pair in pairs], everyone, before)
        yield Cause(
            "decay",
            f"The gradients differ by {number(value)} times the parameter on {where}: decay through the gradient (L2), "
            "on one side only.",
            "weight decay, or a penalty in the loss",
            fit,
            value,
            1,
        )


def _in_the_loss(scene: Scene) -> Iterator[Cause]:
    """A penalty w/2 · |p|²: the loss differs by that, and what its backward pass adds by w · p."""
    before = scene.legacy.tensors("param", "before")
    mine, other = (added(run, scene.micro) for run in (scene.legacy, scene.migrated))
    losses = scene.pairs("loss", "after", scene.micro)
    names = [name for name in mine if name in other and name in before and mine[name].is_floating_point()]
    pairs = [Pair(name, mine[name], other[name]) for name in names if not same_bits(mine[name], other[name])]
    if not pairs or len(losses) != 1 or losses[0].a.numel() != 1:
        return
    noise = [gradient_noise(pair.a, pair.b) for pair in pairs]
    fit = least_squares([flat(p.b) - flat(p.a) for p in pairs], [[flat(before[pair.name]) for pair in pairs]], noise)
    value = fit.coefficients[0]
    a, b = (float(loss) for loss in (losses[0].a, losses[0].b))
    penalty = value / 2 * sum(float(before[pair.name].double().square().sum()) for pair in pairs)
    if not fit.holds or abs(b - a - penalty) > 1e-3 * abs(penalty) + 1e-6 * abs(a):
        return
    side = "legacy" if value < 0 else "migrated"
    yield Cause(
        "decay",
        f"The {side} loss has a penalty of {number(abs(value) / 2)} times the squares of "
        f"{which([pair.name for pair in pairs], names, before)}, the other one has none, or less of it.",
        "a penalty on the weights in the loss (L2)",
        fit,
        value,
        1,
        affected=tuple(pair.name for pair in pairs),
        evidence=("the loss differs by that penalty, the gradients by its derivative",),
    )
