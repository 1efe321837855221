"""The same samples, with their numbers in another arrangement: flipped, transposed, channels in another order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import same_bits

__all__ = ["rearranged"]

_CHANNELS = 4
_MOST_DIMENSIONS = 4

Way = Callable[[Tensor], Tensor]


def rearranged(name: str, a: Tensor, b: Tensor) -> Iterator[Cause]:
    """Where every sample is on the migrated side what it is on the legacy one, or an arrangement of that."""
    if a.ndim < 2 or len(a) != len(b) or a.dtype != b.dtype or a.numel() != b.numel():
        return
    for said, way in _ways(a):
        made = way(a)
        if made.shape != b.shape:
            continue
        alike = a.shape == b.shape
        moved = [same_bits(x, y) and not (alike and same_bits(x, z)) for x, y, z in zip(made, b, a, strict=False)]
        kept = [alike and same_bits(x, y) for x, y in zip(a, b, strict=False)]
        if any(moved) and all(one or other for one, other in zip(moved, kept, strict=True)):
            count = sum(moved)
            # A flip undoes itself, so nobody can tell which side flips.
            which = "all samples" if count == len(a) else f"{count} of {len(a)} samples, the others agree"
            yield Cause(
                "batches",
                f"Both batches hold the same samples; those of the migrated run are {said} ({name}): {which}.",
                "preparation of the samples: flips, transposes, order of the channels",
                freedom=int(count < len(a)),
                affected=(name,),
                evidence=("samples compared bit by bit",),
            )
            return


def _ways(batch: Tensor) -> Iterator[tuple[str, Way]]:
    """(what it is called, what it makes of a whole batch)."""
    dimensions = range(1, min(batch.ndim, _MOST_DIMENSIONS))
    for axis in dimensions:
        if batch.shape[axis] == 1:
            continue
        yield f"reversed along axis {axis}", lambda x, axis=axis: x.flip(axis)  # type: ignore[misc]
        if 2 < batch.shape[axis] <= _CHANNELS:
            for order in itertools.permutations(range(batch.shape[axis])):
                yield (
                    f"of another order along axis {axis} ({', '.join(map(str, order))})",
                    lambda x, axis=axis, order=order: x.index_select(axis, torch.tensor(order, device=x.device)),  # type: ignore[misc]
                )
    for order in itertools.permutations(dimensions):
        if list(order) != list(dimensions) and batch.ndim <= _MOST_DIMENSIONS:
            named = ", ".join(str(axis) for axis in (0, *order))
            yield f"transposed (axes {named})", lambda x, order=order: x.permute(0, *order)  # type: ignore[misc]
