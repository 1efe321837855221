"""Parameters that do not move on one side: no gradient reaches them, or the update leaves them out."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import flat, rounding
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Run, Scene, Setting, same_bits

PHASES = ("grad", "optimizer", "param")


def find(scene: Scene) -> Iterator[Cause]:
    """Read from gradients and parameters."""
    a, b = (run.tensors("grad", "before") for run in (scene.legacy, scene.migrated))
    everyone = [pair.name for pair in scene.pairs("param", "before")]
    shapes = scene.legacy.tensors("param", "before")
    for mine, other, side in ((a, b, "migrated"), (b, a, "legacy")):
        lost = [name for name in everyone if name in mine and name not in other]
        if lost and scene.first.phase == "grad":
            zeros = not any(bool(mine[name].any()) for name in lost)
            if zeros:
                continue  # zeros against None: see zero_grad
            yield Cause(
                "frozen",
                f"No gradient reaches {which(lost, everyone, shapes)} in the {side} run.",
                "requires_grad, a detach() or no_grad() on the way, or a part of the model that is not called",
                affected=tuple(lost),
                evidence=("the gradient is None on one side only",),
            )
    if scene.first.phase == "grad":
        yield from _silent(scene, a, b, everyone, shapes)
        return
    for run, still, side in ((scene.legacy, scene.migrated, "migrated"), (scene.migrated, scene.legacy, "legacy")):
        resting = {
            name
            for setting in scene.setting("lr", "learning_rate")
            if _is_next_to_nothing(setting, still is scene.migrated)
            for name in setting.parameters
        }  # a rate of next to nothing leaves them as they are, and is a cause of its own
        names = [
            name
            for name in everyone
            if name in a and name not in resting and _moved(run, name) and _ends(still, name) is None
        ]
        if names:
            yield Cause(
                "frozen",
                f"The {side} update leaves {which(names, everyone, shapes)} as they are, although they have gradients.",
                "the optimizer's parameter groups, or a condition inside the update",
                affected=tuple(names),
                evidence=("before and after the update they are the same, bit by bit, on one side only",),
            )


def _is_next_to_nothing(setting: Setting, of_migrated: bool) -> bool:
    """Whether one side's rate is zero, or so small against the other's that an update may round to nothing."""
    still, other = (setting.b, setting.a) if of_migrated else (setting.a, setting.b)
    return bool(abs(still) < 1e-2 * abs(other))


def _silent(
    scene: Scene, a: dict[str, Tensor], b: dict[str, Tensor], everyone: list[str], shapes: dict[str, Tensor]
) -> Iterator[Cause]:
    """A gradient of zeros on one side only."""
    for mine, other, side in ((a, b, "migrated"), (b, a, "legacy")):
        lost = [n for n in everyone if n in mine and n in other and bool(mine[n].any()) and not bool(other[n].any())]
        if lost:
            yield Cause(
                "frozen",
                f"The gradient of {which(lost, everyone, shapes)} is zero in the {side} run.",
                "a detach() on the way, a mask, or gradients zeroed before the update",
                freedom=1,
                affected=tuple(lost),
                evidence=("it is not zero on the other side",),
            )


def _moved(run: Run, name: str) -> bool:
    """By more than one rounding: a bias in front of batch norm has gradients of 1e-9, which another rate may lose."""
    ends = _ends(run, name)
    return ends is not None and not bool(((flat(ends[1]) - flat(ends[0])).abs() <= rounding(*ends)).all())


def _ends(run: Run, name: str) -> tuple[Tensor, Tensor] | None:
    """The parameter before and after the update; None where it rests, or was not captured."""
    before, after = (run.tensors("param", moment).get(name) for moment in ("before", "after"))
    return None if before is None or after is None or same_bits(before, after) else (before, after)
