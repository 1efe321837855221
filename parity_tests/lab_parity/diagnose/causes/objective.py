"""The loss function: the model's outputs agree, and what is computed from them does not."""

from __future__ import annotations

from collections.abc import Iterator

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.gradients import added, scaled
from lab_parity.diagnose.held import everybody
from lab_parity.diagnose.scene import Scene, same_bits
from lab_parity.diagnose.words import number

PHASES = ("loss",)


def find(scene: Scene) -> Iterator[Cause]:
    """Read from the outputs of all called modules."""
    if not scene.captured or not scene.modules or scene.first_module is not None or scaled(scene) is not None:
        return
    if any(b is None for _, b in scene.modules) or scene.averages_differ:
        return
    losses = [run.tensors("loss", "after", scene.micro) for run in (scene.legacy, scene.migrated)]
    values = [float(next(iter(side.values()))) if side else float("nan") for side in losses]
    if _same_gradients(scene):
        yield Cause(
            "objective",
            f"The outputs of all {len(scene.modules)} called modules and all gradients agree, the tensor that the "
            f"backward pass begins at does not ({number(values[0])} against {number(values[1])}): it is scaled, or a "
            "part of it that has no gradient is added, and the training is the same so far.",
            "what backward() is called on, and with which gradient",
            freedom=3,
            evidence=("outputs and gradients compared bit by bit on both sides",),
        )
        return
    said = "the loss function, or its targets"
    if scene.others_say_otherwise:
        said = "its targets, since what models say without a graph differs, or the loss function"
    held = [f"{facts.name or facts.kind} holds {apart[0].sentence()}" for facts, apart in everybody(scene)]
    yield Cause(
        "objective",
        f"The outputs of all {len(scene.modules)} called modules agree, the loss does not ({number(values[0])} against "
        f"{number(values[1])}), and the gradients are no multiple: {said}.",
        "the loss: its terms, their weights, label smoothing, masking, targets",
        freedom=3,
        evidence=("outputs compared bit by bit on both sides", *held[:2]),
    )


def _same_gradients(scene: Scene) -> bool:
    """Whether this backward pass adds the same bits on both sides."""
    mine, other = (added(run, scene.micro) for run in (scene.legacy, scene.migrated))
    return bool(mine) and mine.keys() == other.keys() and all(same_bits(mine[name], other[name]) for name in mine)
