"""Numbers that processes share (`multiprocessing.Value` and `Array`): their bytes, and back into the same memory.

A collator counts its batches in one, so that the workers of a loader count together; a step or a rate is handed to
processes in one. Arrays that hold data are none of a training's state, and are left.
"""

from __future__ import annotations

import ctypes
import multiprocessing
from multiprocessing.sharedctypes import SynchronizedBase
from typing import Any

__all__ = ["SHARED", "put_shared", "written_shared"]

SHARED: Any = SynchronizedBase
#: In bytes. What is larger is data, or pictures that an environment draws.
MOST = 2**16
#: Codes of ctypes for numbers and letters; others are pointers, which mean nothing in another process.
_NUMBERS = frozenset("bBhHiIlLqQfd?c")


def written_shared(value: Any) -> list[Any] | None:
    """The type's code, how many there are (none: one value), and their bytes; None of what has no numbers."""
    inner: Any = value.get_obj()
    is_array = isinstance(inner, ctypes.Array)
    code = getattr(inner._type_, "_type_", "") if is_array else getattr(inner, "_type_", "")
    if not isinstance(code, str) or code not in _NUMBERS or ctypes.sizeof(inner) > MOST:
        return None
    with value.get_lock():
        return [code, len(inner) if is_array else None, bytes(inner)]


def put_shared(written: list[Any] | None, target: Any) -> Any:
    """The target's memory with these bytes; where none of its kind stands, memory of its own."""
    if written is None:
        return target
    code, length, data = written
    fits = isinstance(target, SHARED) and (now := written_shared(target)) is not None and now[:2] == [code, length]
    made: Any = (
        target if fits else multiprocessing.Value(code) if length is None else multiprocessing.Array(code, length)
    )
    with made.get_lock():
        ctypes.memmove(ctypes.addressof(made.get_obj()), data, len(data))
    return made
