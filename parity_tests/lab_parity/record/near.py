"""Averages of the parameters that were no bitwise copy when their optimizer began: loaded, or made later.

A module, dict or list that is laid out as the parameters are and points their way (a momentum, or gradients, do not),
and that has changed between two looks. The looks become rarer as a run goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from lab_parity.digest import digest_tensor
from lab_parity.record.copies import Copy
from lab_parity.record.naming import Twin

__all__ = ["Near", "points_its_way"]

_ALIKE = 0.5
"""Cosine between an average and the parameters from which on it is taken for one."""
_ENOUGH = 1024
"""Elements of a tensor that tell."""
_FIRST = 3
_EARLY = 5


@attrs.define(slots=True, eq=False)
class Near:
    """What lay near an optimizer's parameters at the last look, by its identity, with its bits; and the next look."""

    next: int = _FIRST
    _seen: dict[int, bytes] = attrs.field(factory=dict)

    def due(self, taken: int) -> bool:
        """Whether it is time for a look before the step that follows `taken` steps."""
        return taken >= self.next

    @property
    def looked(self) -> bool:
        """Whether anything was near at the last look."""
        return bool(self._seen)

    def changed(self, taken: int, found: Iterable[tuple[int, Twin | Copy]]) -> list[Twin | Copy]:
        """Those that were there at the last look, with other bits."""
        now = {identity: (average, _bits(average)) for identity, average in found}
        moved = [average for identity, (average, bits) in now.items() if self._seen.get(identity, bits) != bits]
        self._seen = {identity: bits for identity, (_, bits) in now.items()}
        self.next = taken + 2 if taken < _EARLY else 2 * taken
        return moved


def points_its_way(tensors: Sequence[Tensor], wanted: Mapping[str, Tensor]) -> bool:
    """Whether tensors, laid out as the parameters, point the same way, all taken as one vector."""
    try:
        return _point_its_way(tensors, wanted)
    except (TypeError, RuntimeError, NotImplementedError):
        return False  # a compiler keeps stand-ins of parameters, which have no bits


def _point_its_way(tensors: Sequence[Tensor], wanted: Mapping[str, Tensor]) -> bool:
    inner = mine = theirs = 0.0
    for tensor, parameter in zip(tensors, wanted.values(), strict=True):
        if not _laid_out_alike(tensor, parameter):
            return False
        a, b = _some(tensor), _some(parameter)
        one, own, other = torch.stack([a @ b, a @ a, b @ b]).tolist()
        inner, mine, theirs = inner + one, mine + own, theirs + other
        if parameter.ndim > 1 and inner < _ALIKE / 2 * math.sqrt(mine * theirs):
            return False  # the first matrix tells
    return mine > 0 and theirs > 0 and inner >= _ALIKE * math.sqrt(mine * theirs)


def _some(tensor: Tensor) -> Tensor:
    """(n,) float32: all elements, or evenly spaced ones of a large tensor."""
    line = tensor.detach().reshape(-1)
    return line[:: -(-line.numel() // _ENOUGH) or 1].float()


def _laid_out_alike(a: Tensor, b: Tensor) -> bool:
    return (
        a is not b
        and a.shape == b.shape
        and a.device == b.device
        and a.layout == b.layout == torch.strided
        and a.is_floating_point()
        and a.data_ptr() != b.data_ptr()
    )


def _bits(average: Twin | Copy) -> bytes:
    return b"".join(digest_tensor(tensor.detach()) for _, tensor in average.tensors())
