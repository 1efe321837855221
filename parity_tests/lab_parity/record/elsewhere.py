"""Copies of the trained parameters that lie in no dict of their paths, and in no list in their order.

In a tuple, a dict with other keys (of the parameters themselves, their ids, other names), lists of lists as an
optimizer's groups, buffers or parameters of a module under names of its own, attributes of the parameters. Found by one
copy of one parameter: who holds it, and whether that holds, or those like it hold, a copy of each other one.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

from lab_parity.record.copies import Copy, same_memory
from lab_parity.record.live import Live
from lab_parity.record.naming import is_copy, is_drawn
from lab_parity.record.own import is_own

__all__ = ["copies_elsewhere"]

_HOLDERS = (dict, list, tuple, deque)
_BESIDE = 32
"""How many things a holder may have, for each that is trained: the recorder has lists of all that is alive."""
_MOST = 8
"""Copies of one parameter of which it is asked who holds them: that goes through all that is alive."""


def copies_elsewhere(wanted: Mapping[str, Tensor], live: Live, known: Collection[int]) -> list[Copy]:
    """Copies of all of `wanted`, but those in the memory at one of the addresses `known`."""
    anchor = next((parameter for parameter in wanted.values() if is_drawn(parameter)), None)
    if anchor is None:
        return []
    ours = set(map(id, wanted.values()))
    found: list[Copy] = []
    candidates = _copies_of(anchor, live, known, ours)
    for tensor in candidates:
        for holder in gc.get_referrers(tensor):
            if holder is candidates or not _may_hold(holder, wanted):
                continue
            copy = _whole([holder], wanted) or _among_others(holder, anchor, wanted)
            if copy is not None and not any(copy.container is other.container for other in found):
                found.append(copy)
    return found


def _copies_of(anchor: Tensor, live: Live, known: Collection[int], ours: Collection[int]) -> list[Tensor]:
    return [
        tensor
        for tensor in live.tensors_of(anchor.shape)
        if id(tensor) not in ours
        and not tensor.requires_grad
        and not is_own(tensor)
        and is_copy(tensor, anchor)
        and not same_memory(tensor, anchor)
        and tensor.data_ptr() not in known
    ][:_MOST]


def _may_hold(thing: Any, wanted: Mapping[str, Tensor]) -> bool:
    return isinstance(thing, _HOLDERS) and len(thing) <= _BESIDE * len(wanted)


def _among_others(holder: Any, anchor: Tensor, wanted: Mapping[str, Tensor]) -> Copy | None:
    """The holder's like, each with some: a group's, or a parameter's own."""
    if getattr(anchor, "__dict__", None) is holder:
        return _whole([vars(parameter) for parameter in wanted.values()], wanted)
    for outer in gc.get_referrers(holder):
        if _may_hold(outer, wanted):
            parts = outer.values() if isinstance(outer, dict) else outer
            like = [part for part in parts if type(part) is type(holder) and _may_hold(part, wanted)]
            copy = _whole(like, wanted)
            if copy is not None:
                return copy
    return None


def _whole(holders: list[Any], wanted: Mapping[str, Tensor]) -> Copy | None:
    """Each parameter's copy in these; of several with the same bits the first one is the first parameter's."""
    left = list(_held(holders))
    if len(left) < len(wanted):
        return None
    places: dict[str, tuple[int, Any]] = {}
    for path, parameter in wanted.items():
        for number, (place, tensor) in enumerate(left):
            if is_copy(tensor, parameter) and not same_memory(tensor, parameter):
                places[path] = place
                del left[number]
                break
        else:
            return None
    used = sorted({which for which, _ in places.values()})
    return Copy(
        [holders[which] for which in used], {path: (used.index(which), key) for path, (which, key) in places.items()}
    )


def _held(holders: Iterable[Any]) -> Iterator[tuple[tuple[int, Any], Tensor]]:
    for which, holder in enumerate(holders):
        for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            if isinstance(value, Tensor):
                yield (which, key), value
