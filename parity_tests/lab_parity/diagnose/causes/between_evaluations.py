"""An update that evaluates its loss more than once moves the parameters another way in between: SAM's climb, LBFGS."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import flat, least_squares, rounding
from lab_parity.diagnose.scene import Pair, Scene, same_bits
from lab_parity.diagnose.words import number, times

PHASES = ("loss", "forward")
_CLOSE = 1e-4


def find(scene: Scene) -> Iterator[Cause]:
    """Fitted on how far the parameters have moved since the step's first evaluation, else read from them."""
    pairs = [pair for pair in _moved(scene) if not same_bits(pair.a, pair.b)]
    if not pairs:
        return
    where = f"Before evaluation {scene.micro} of the step (counted from 0) the parameters"
    setting = "how far, and by which gradient, the update moves them in between: SAM's radius, LBFGS' settings"
    start = scene.legacy.tensors("param", "before")
    fit = least_squares(
        [flat(pair.b) - flat(pair.a) for pair in pairs],
        [[flat(pair.a) - flat(start[pair.name]) for pair in pairs]],
        [rounding(pair.a, pair.b, start[pair.name]) for pair in pairs],
    )
    ratio = 1 + fit.coefficients[0] if fit.coefficients else 1.0
    affected = tuple(pair.name for pair in pairs)
    for rate in scene.setting("lr", "learning_rate"):
        if fit.holds and rate.a and abs(rate.b / rate.a / ratio - 1) < _CLOSE:
            yield Cause(
                "lr",
                f"The learning rate is {number(rate.b)} instead of {number(rate.a)}: before evaluation {scene.micro} "
                f"of the step the parameters have moved {times(ratio)} as far.",
                rate.name,
                fit,
                ratio,
                read=True,
                affected=affected,
            )
    yield Cause(
        "between_evaluations", f"{where} have moved {times(ratio)} as far as the legacy ones.", setting, fit, ratio, 1,
        affected=affected,
    )  # fmt: skip
    yield Cause(
        "between_evaluations", f"{where} are others than the legacy ones, from the same start.", setting, freedom=4,
        affected=affected, evidence=("compared bit by bit before that evaluation's backward pass",),
    )  # fmt: skip


def _moved(scene: Scene) -> list[Pair]:
    """Parameters at the evaluation whose loss differs, of which one side at least has moved.

    They were the same at the step's first evaluation, since this is the first difference; right before the update they
    are that but for rounding, where a climb has been taken back.
    """
    starts = {pair.name: pair for pair in scene.pairs("param", "before")}
    if scene.micro < 1:
        return []
    a, b = (run.tensors("param", "before", scene.micro) for run in (scene.legacy, scene.migrated))
    return [
        Pair(name, a.get(name, pair.a), b.get(name, pair.b))
        for name, pair in starts.items()
        if (name in a or name in b) and pair.a.is_floating_point()
    ]
