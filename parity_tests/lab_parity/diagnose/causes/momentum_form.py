"""The form of the momentum: Nesterov's or Polyak's, dampening, whether the learning rate is inside the buffer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import Fit, flat, least_squares, measure
from lab_parity.diagnose.moments import Moment, moments
from lab_parity.diagnose.scene import Scene, own_step_before
from lab_parity.diagnose.updates import Update, updates
from lab_parity.diagnose.words import number, times

PHASES = ("optimizer", "param")
_NAMES = ("nesterov", "dampening")
_USUAL = (0.5, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
_CLOSE = 0.02
_ROUNDED = 1e-6


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the settings where both sides show them, else fitted on buffer and update."""
    for setting in scene.setting(*_NAMES):
        yield Cause(
            "momentum_form",
            f"{setting.name} is {setting.b} instead of {setting.a}.",
            setting.name,
            freedom=0 if scene.steady(setting) else 2,
            read=True,
            affected=setting.parameters,
            evidence=("both values were read from the optimizers",),
        )
    if scene.settings or not scene.captured:
        return
    if scene.first.phase == "param" and not any(run.state_fields for run in (scene.legacy, scene.migrated)):
        if own_step_before(scene.legacy.history.steps, scene.first.step) < 0:
            listed = updates(scene)
            noise = [update.noise for update in listed]
            differences = [update.difference for update in listed]
            yield from _at_first(least_squares(differences, [[update.change_a for update in listed]], noise))
        return
    known = [moment for moment in moments(scene) if moment.identified]
    if len(known) != 1 or known[0].order != 1:
        return
    listed = [update for update in updates(scene) if update.name in known[0].names]
    if scene.first.phase == "optimizer":
        yield from _in_the_buffer(scene, known[0], listed)
    elif not known[0].differs:
        yield from _nesterov(scene, known[0], listed)


def _in_the_buffer(scene: Scene, moment: Moment, listed: Sequence[Update]) -> Iterator[Cause]:
    """Another part of the gradient flows in."""
    if "gradient" not in moment.change or not _flows_in_alike(moment):
        return
    a, b = (moment.of("gradient", side) for side in ("legacy", "migrated"))
    if abs(b / a - 1) < _ROUNDED:
        return  # another kernel: see `rounding`
    if abs(b / a + 1) < _ROUNDED:
        yield Cause(
            "setting",
            f"The gradient enters the buffer {moment.field} with the opposite sign: one side ascends.",
            "maximize",
            moment.fit,
            -1.0,
            affected=moment.names,
        )
        return
    same = measure(
        [update.change_a for update in listed],
        [update.difference for update in listed],
        [update.noise for update in listed],
    )
    whole = any(abs(inflow - 1) < 1e-3 for inflow in (a, b))
    if same.share < 1e-3 and whole:
        said = f"The buffer {moment.field} is {times(b / a)} the legacy one and the update is the same"
        yield Cause(
            "momentum_form",
            f"{said}: one side has the learning rate inside the buffer.",
            "momentum: where the learning rate enters",
            moment.fit,
            b / a,
            1,
        )
    elif same.share < 1e-3:
        return  # a buffer that this update does not come from: see `betas`
    elif _rate_is_inside(scene, moment, listed):
        yield Cause(
            "lr",
            f"The gradient enters the buffer {moment.field} with {number(b)} instead of {number(a)}; the update is "
            f"that buffer, so this is the learning rate: {times(b / a)} the legacy one.",
            "learning rate",
            moment.fit,
            b / a,
            1,
            affected=moment.names,
        )
    else:
        yield Cause(
            "momentum_form",
            f"The gradient enters the buffer {moment.field} with {number(b)} instead of {number(a)}: dampening "
            f"{number(1 - b)} instead of {number(1 - a)}.",
            "dampening",
            moment.fit,
            1 - b,
            1,
            affected=moment.names,
        )


def _flows_in_alike(moment: Moment) -> bool:
    """Whether nothing but the inflow changes: a decay that comes with the gradient changes as the gradient does."""
    if "parameter" not in moment.change:
        return set(moment.change) == {"gradient"}
    ratios = [moment.change[column] / (moment.of(column) or 1e-30) for column in ("gradient", "parameter")]
    return set(moment.change) == {"gradient", "parameter"} and abs(ratios[1] / ratios[0] - 1) < 0.1


def _rate_is_inside(scene: Scene, moment: Moment, listed: Sequence[Update]) -> bool:
    """Whether the legacy update is minus the buffer."""
    buffers = scene.legacy.tensors("optimizer", "after", field=moment.field)
    fit = least_squares(
        [update.change_a for update in listed],
        [[flat(buffers[update.name]) for update in listed], [update.before for update in listed]],
        [update.noise for update in listed],
    )
    return fit.share < 1e-3 and abs(fit.coefficients[0] + 1) < 1e-3


def _nesterov(scene: Scene, moment: Moment, listed: Sequence[Update]) -> Iterator[Cause]:
    """`lr · (g + momentum · buffer)` in place of `lr · buffer`, or the other way round."""
    buffers = scene.legacy.tensors("optimizer", "after", field=moment.field)
    gradients = scene.legacy.tensors("grad", "before")
    bs, gs = [flat(buffers[u.name]) for u in listed], [flat(gradients[u.name]) for u in listed]
    if "parameter" in moment.legacy:  # the decay has gone through the gradient
        part = moment.of("parameter") / (moment.of("gradient") or 1.0)
        gs = [g + part * update.before for g, update in zip(gs, listed, strict=True)]
    noise = [update.noise for update in listed]
    rate, own = _rate(listed, bs, gs)
    differences = [update.difference for update in listed]
    if "old" in moment.legacy:
        momentum = moment.of("old")
        for sign, what in ((1.0, "the migrated momentum is Nesterov's, the legacy one is not"),
                           (-1.0, "the legacy momentum is Nesterov's, the migrated one is not")):  # fmt: skip
            change = [sign * (g + (momentum - 1) * b) for g, b in zip(gs, bs, strict=True)]
            fit = least_squares(differences, [change], noise)
            expected = -rate
            if fit.holds and own and abs(fit.coefficients[0] / expected - 1) < _CLOSE:
                yield _form(f"The update goes by gradient + {number(momentum)} · buffer on one side: {what}.", fit, 0)
        return
    yield from _at_first(least_squares(differences, [[update.change_a for update in listed]], noise))


def _at_first(fit: Fit) -> Iterator[Cause]:
    """The update is a multiple of the legacy one, as it is where a first step's momentum is Nesterov's."""
    ratio = 1 + fit.coefficients[0]
    for usual in _USUAL:
        for known, what in ((1 + usual, "the migrated"), (1 / (1 + usual), "the legacy")):
            if fit.holds and abs(ratio / known - 1) < 1e-5:
                yield _form(
                    f"On its first step the update is {times(ratio)} the legacy one, 1 + momentum where {what} "
                    f"momentum {number(usual)} is Nesterov's. A learning rate {times(ratio)} as large would look the "
                    "same here.",
                    fit,
                    0,
                )


def _form(sentence: str, fit: Fit, freedom: int) -> Cause:
    return Cause("momentum_form", sentence, "nesterov", fit, None, freedom)


def _rate(listed: Sequence[Update], bs: list[Tensor], gs: list[Tensor]) -> tuple[float, bool]:
    """The legacy learning rate: of the buffer, and of the gradient beside it where it is Nesterov's."""
    changes, noise = [u.change_a for u in listed], [u.noise for u in listed]
    before = [u.before for u in listed]
    plain = least_squares(changes, [bs, before], noise)
    if plain.share < 0.01:
        return -plain.coefficients[0], True
    both = least_squares(changes, [gs, bs, before], noise)
    return -both.coefficients[0], both.share < 0.01
