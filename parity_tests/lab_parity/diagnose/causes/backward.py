"""The backward pass goes another way: modules and loss say the same, and the gradients are others."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.fit import flat
from lab_parity.diagnose.gradients import left_behind, same_backward, scaled
from lab_parity.diagnose.parameters import which
from lab_parity.diagnose.scene import Scene, same_bits

PHASES = ("grad",)
_FAR = 0.01
"""So far no rounding carries a gradient: not that of half precision, nor that of long sums."""


def find(scene: Scene) -> Iterator[Cause]:
    """Read from what all called modules say and from what the backward passes leave."""
    a, b = scene.micro_steps
    if not scene.captured or a != b or not a or same_backward(scene):
        return
    if scene.first_module is not None or any(other is None for _, other in scene.modules) or scaled(scene) is not None:
        return
    mine, other = left_behind(scene.legacy, a), left_behind(scene.migrated, b)
    common = [name for name in mine if name in other and mine[name].shape == other[name].shape]
    parted = [name for name in common if not same_bits(mine[name], other[name])]
    far = [name for name in parted if _distance(mine[name], other[name]) > _FAR]
    if len(common) < len(mine.keys() | other.keys()) or not far:
        return
    alike = [name for name in common if name not in parted]
    rest = f", those of {which(alike, common)} do" if alike else ""
    said = (
        "what models say without a graph (a teacher, a target network) differs"
        if scene.others_say_otherwise
        else "the backward pass goes another way, or terms of the loss cancel out here"
    )
    yield Cause(
        "backward",
        f"The outputs of all {len(scene.modules)} called modules and the loss agree, and the gradients of "
        f"{which(parted, common)} do not{rest}: {said}.",
        "detach() or no_grad() on the way, a straight-through estimator, a hook on gradients, terms of the loss, "
        "gradient checkpointing that draws anew",
        freedom=7,
        affected=tuple(parted),
        evidence=("outputs, losses and gradients compared bit by bit on both sides",),
    )


def _distance(a: Tensor, b: Tensor) -> float:
    """Relative; of nothing but zeros it is far."""
    return float((flat(b) - flat(a)).norm() / flat(a).norm().clamp_min(1e-30))
