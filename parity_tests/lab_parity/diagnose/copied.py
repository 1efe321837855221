"""Parameters that nobody trains, copies of trained ones in the same model: a momentum encoder's, a teacher's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lab_parity.diagnose.scene import Scene

__all__ = ["copies_inside", "is_rounded"]

_ROUNDED = 8


def copies_inside(scene: Scene) -> Mapping[str, str]:
    """Name of the copy -> name of what it is a copy of, among one optimizer's parameters; mostly nothing.

    Told by the names, which differ in one place, the same for all: `encoder_k.0.weight`, `encoder_q.0.weight`.
    """
    return scene.once("copies inside", _find)


def is_rounded(a: Tensor, b: Tensor) -> bool:
    """Whether they differ by rounding alone."""
    if a.dtype != b.dtype or a.shape != b.shape or not a.is_floating_point():
        return False
    return torch.allclose(a, b, rtol=_ROUNDED * torch.finfo(a.dtype).eps, atol=0.0)


def _find(scene: Scene) -> dict[str, str]:
    sides = [(run.tensors("param", "before"), run.tensors("grad", "before")) for run in (scene.legacy, scene.migrated)]
    shapes = {name: tensor.shape for name, tensor in sides[0][0].items()}
    trained = {name for _, gradients in sides for name in gradients}
    idle = [name for name in shapes if name not in trained and name in sides[1][0]]
    found: list[dict[str, str]] = [{}]
    for place, mine, other in dict.fromkeys(_swaps(idle, trained)):
        pairs = {name: _swapped(name, place, mine, other) for name in idle}
        found.append(
            {name: pair for name, pair in pairs.items() if pair in trained and shapes.get(pair) == shapes[name]}
        )
    return max(found, key=len)


def _swaps(names: list[str], others: set[str]) -> list[tuple[int, str, str]]:
    """(place, part, other part) in which a name differs from others, in one place alone."""
    found = []
    for name in names:
        parts = name.split(".")
        for other in sorted(others):
            theirs = other.split(".")
            apart = [n for n, pair in enumerate(zip(parts, theirs, strict=False)) if pair[0] != pair[1]]
            if len(parts) == len(theirs) and len(apart) == 1:
                found.append((apart[0], parts[apart[0]], theirs[apart[0]]))
    return found


def _swapped(name: str, place: int, mine: str, other: str) -> str:
    parts = name.split(".")
    return ".".join([*parts[:place], other, *parts[place + 1 :]]) if parts[place : place + 1] == [mine] else name
