"""Averages of the parameters that were no bitwise copy when their optimizer began: loaded, or made later.

A module, dict or list that is laid out as the parameters are and points their way (a momentum, or gradients, do not),
and that has changed since it was found. A look at everything that is alive takes a tenth of a second, and they become
rarer as a run goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
_FIRST = 5
_RARER = 4


@attrs.define(slots=True, eq=False)
class Near:
    """What lay near an optimizer's parameters at the last look at everything, with its bits, and when that was.

    Those few are looked at again soon and cheaply: before the next step, and the 2nd, the 4th, the 8th after the look.
    They are held, so that each is itself and no other of its identity, until nobody else holds them.
    """

    next: int = _FIRST
    _looked: int = 0
    _again: int = 0
    _seen: list[tuple[Twin | Copy, bytes]] = attrs.field(factory=list)

    def due(self, taken: int) -> bool:
        """Whether it is time to look at everything, before the step that follows `taken` steps."""
        return taken >= self.next

    def look(self, taken: int, found: Iterable[Twin | Copy]) -> None:
        """Remember what lies near now, besides what is known of earlier looks."""
        self._seen += [(average, _bits(average)) for average in self.unknown(found)]
        self._looked, self._again, self.next = taken, taken + 1, max(_FIRST, _RARER * taken)

    def unknown(self, found: Iterable[Twin | Copy]) -> list[Twin | Copy]:
        """Those that no look has found before."""
        known = {id(_holder(average)) for average, _ in self._seen}
        return [average for average in found if id(_holder(average)) not in known]

    def changed(self, taken: int | None = None) -> list[Twin | Copy]:
        """Those of other bits now than at the last look, which are let go; before some of the steps, or at the end."""
        self._seen = [(average, bits) for average, bits in self._seen if average.alive]
        if taken is not None:
            if taken < self._again:
                return []
            self._again = taken + (taken - self._looked)
        moved = [average for average, bits in self._seen if _bits(average) != bits]
        gone = set(map(id, moved))
        self._seen = [(average, bits) for average, bits in self._seen if id(average) not in gone]
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


def _holder(average: Twin | Copy) -> Any:
    return average.module if isinstance(average, Twin) else average.container
