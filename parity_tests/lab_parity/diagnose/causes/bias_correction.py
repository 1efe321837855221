"""Adam's bias correction: left out, or counted from another step."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from lab_parity.diagnose.adam import Adam, Form, identify
from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.first_update import first_update
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.words import number, times

PHASES = ("optimizer", "param")


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the step counters in the state, else fitted on the updates."""
    for name in ("step", "steps", "t"):
        pairs = [pair for pair in scene.pairs("optimizer", "after", field=name) if pair.a.numel() == 1]
        steps = {(float(pair.a), float(pair.b)) for pair in pairs if float(pair.a) != float(pair.b)}
        if len(steps) == 1 and scene.first.phase == "optimizer":
            ((a, b),) = steps
            yield Cause(
                "bias_correction",
                f"The optimizer's step counter is {number(b)} instead of {number(a)}, and with it the bias correction.",
                "the optimizer's step counter: is its state restored, and stepped once a step?",
                size=b - a,
                freedom=1,
                evidence=("both counters were read from the optimizers' state",),
            )
    if scene.first.phase != "param" or not scene.captured:
        return
    yield from _of_the_first(scene)
    for unusual, adam in enumerate(identify(scene)):
        yield from _counted_otherwise(adam, int(unusual > 0))


def _of_the_first(scene: Scene) -> Iterator[Cause]:
    """Of an optimizer that shows no state: its first update alone tells."""
    update = first_update(scene)
    found = update.uncorrected() if update is not None else None
    if update is None or found is None:
        return
    side, betas, sure = found
    other = "legacy" if side == "migrated" else "migrated"
    either = "" if sure else ", or else the learning rate is that many times the legacy one"
    yield Cause(
        "bias_correction",
        f"The {side} update leaves out Adam's bias correction, the {other} one has it (as betas of {number(betas[0])} "
        f"and {number(betas[1])} make a first update {times(update.ratio)} as large){either}.",
        "bias correction",
        size=update.ratio,
        read=True,
        evidence=("both first updates are the gradient over its own size, as Adam's, to rounding",),
    )


def _counted_otherwise(adam: Adam, freedom: int) -> Iterator[Cause]:
    own = adam.form
    for moment, left_out in (("first", (False, True)), ("second", (True, False))):
        if own.count is not None:
            yield Cause(
                "bias_correction",
                f"The migrated update leaves out the bias correction of the {moment} moment.",
                "bias correction",
                adam.explains(attrs.evolve(own, moments=left_out)),
                None,
                freedom,
            )
    for count in (None, adam.step, adam.step + 1, adam.step - 1):
        if count == own.count or count == 0 or (own.count not in (None, adam.step) and count != adam.step):
            continue
        if count is None:
            said = "The migrated update leaves out the bias correction"
        elif own.count is None:
            said = "The migrated update has a bias correction, the legacy one has none"
        else:
            said = f"The bias correction counts step {count} instead of {own.count}"
        yield Cause(
            "bias_correction",
            f"{said} (beta1 {number(adam.betas[0])}, beta2 {number(adam.betas[1])}).",
            "bias correction",
            adam.explains(Form(own.place, count, own.eps)),
            None,
            freedom,
        )
