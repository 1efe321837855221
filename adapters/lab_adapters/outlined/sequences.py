"""Iterators over a sequence (`order = iter(permutation)`) by what they go through and where they stand.

One that the training makes is not there when a resumed program begins, so that it cannot be passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

__all__ = ["Over", "goes_through", "over"]

#: A longer sequence is data; its iterator is made again by the program and passed over.
LONGEST = 10_000
_PLAIN = (list, tuple, str, bytes, np.ndarray)
_ENTRIES = (int, float, str, bool, bytes)


@attrs.frozen(eq=False)
class Over:
    """What an iterator goes through, its next entry's index, and whether it goes backwards."""

    sequence: Any
    index: int
    backwards: bool = False

    def made(self, sequence: Any) -> Iterator[Any]:
        """One like it over `sequence`."""
        iterator: Any = reversed(sequence) if self.backwards else iter(sequence)
        iterator.__setstate__(self.index)
        return iterator  # type: ignore[no-any-return]


def over(raw: Any) -> Over | None:
    """Of an iterator of Python's own over a list, a tuple, a text or an array; None for others, and for long ones."""
    if not hasattr(raw, "__setstate__") or type(raw).__module__ != "builtins":
        return None
    made_by, given, *index = raw.__reduce__()
    if made_by not in (iter, reversed) or len(given) != 1 or type(given[0]) not in _PLAIN:
        return None
    if len(given[0]) > LONGEST or not all(type(one) is int for one in index):
        return None
    # Of one that is used up nothing else is known.
    return Over(given[0], index[0] if index else 0, made_by is reversed)


def goes_through(there: Over, other: Over) -> bool:
    """Whether both go through one list, or equal values, in one direction."""
    if there.sequence is other.sequence:
        return there.backwards == other.backwards
    if type(there.sequence) is not type(other.sequence) or there.backwards != other.backwards:
        return False
    if isinstance(there.sequence, np.ndarray):
        return np.array_equal(there.sequence, other.sequence)
    return all(type(one) in _ENTRIES for one in other.sequence) and bool(there.sequence == other.sequence)
