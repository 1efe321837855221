"""Parameters or buffers that change between two steps: an evaluation in training mode, averages left in, clipping."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.copied import copies_inside
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Run, Scene, same_bits

PHASES = ("config", "loss", "forward", "grad", "param", "buffer", "optimizer")


def find(scene: Scene) -> Iterator[Cause]:
    """Read from what the step before left and what this one found."""
    step, sides = scene.first.step, (scene.legacy.history.steps, scene.migrated.history.steps)
    if len({side[step].optimizer for side in sides if step < len(side)}) > 1:
        return  # the parameters are not even the same ones
    # Where an optimizer begins, buffers may be those of another model.
    for phase in ("param",) if scene.first.phase == "config" else ("param", "buffer"):
        pairs = scene.pairs(phase, "before")
        both = {pair.name for pair in pairs}
        a, b = ([name for name in _changed(run, phase) if name in both] for run in (scene.legacy, scene.migrated))
        only = sorted(set(a) ^ set(b))
        if not only:
            apart = {pair.name for pair in pairs if not same_bits(pair.a, pair.b)} & set(a) & set(b)
            if phase == "param" and apart:
                yield from _otherwise(scene, sorted(apart))
                return
            continue
        side = "migrated" if set(b) - set(a) else "legacy"
        everyone = list(scene.legacy.tensors(phase, "before"))
        if phase == "buffer":
            said = f"Buffers of the {side} run change between steps {step - 1} and {step}"
            setting = "an evaluation without model.eval(), or forward calls that one side does not make"
        else:
            said = f"Parameters of the {side} run change between steps {step - 1} and {step}, outside the optimizer"
            setting = "averaged weights left in after an evaluation, a checkpoint loaded, weights clipped or projected"
        yield Cause(
            "between_steps",
            f"{said}: {which(only, everyone) if phase == 'param' else ', '.join(only[:3])}.",
            setting,
            # An average of others is meant to change there: see `ema`.
            freedom=3 if copies_inside(scene).keys() >= set(only) else 0,
            affected=tuple(only),
            evidence=(f"what step {step - 1} left is not what step {step} found, on one side only",),
        )
        return


def _otherwise(scene: Scene, names: list[str]) -> Iterator[Cause]:
    """Both sides change what the step before left alike, and not to the same."""
    step = scene.first.step
    left = [run.past("param", "after") for run in (scene.legacy, scene.migrated)]
    names = [name for name in names if same_bits(left[0][name], left[1][name])]
    if not names:
        return
    everyone = list(scene.legacy.tensors("param", "before"))
    yield Cause(
        "between_steps",
        f"Parameters change between steps {step - 1} and {step} in both runs, outside the optimizer, and not to the "
        f"same values: {which(names, everyone)}.",
        "weights clipped, projected or averaged behind the step: its limits, its strength",
        freedom=4 if copies_inside(scene).keys() >= set(names) else 2,
        affected=tuple(names),
        evidence=(f"what step {step - 1} left agrees, what step {step} found does not",),
    )


def _changed(run: Run, phase: str) -> list[str]:
    left, found = run.past(phase, "after"), run.tensors(phase, "before")
    return [name for name in found if name in left and not same_bits(left[name], found[name])]
