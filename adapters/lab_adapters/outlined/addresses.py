"""Numbers that say where an object lies, which another run has elsewhere: `self.momentum[id(p)]`, `p.data_ptr()`.

A checkpoint holds which object it was, and a run that goes on asks that object anew.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

__all__ = ["address_of", "addresses_of", "is_an_address", "split_at_addresses"]

#: Smaller numbers are none.
_SMALLEST = 2**28
_IN_NAMES = re.compile(r"(?<![0-9])[1-9][0-9]{9,18}(?![0-9])")

_KINDS: dict[str, Callable[[Any], int]] = {
    "id": id,
    "hash": object.__hash__,
    "data_ptr": lambda one: int(one.data_ptr()) if isinstance(one, Tensor) else 0,
}


def addresses_of(objects: Iterable[Any]) -> dict[int, tuple[str, Any]]:
    """Address -> its kind and the object, the first of several."""
    found: dict[int, tuple[str, Any]] = {}
    for one in objects:
        for kind in _KINDS:
            with contextlib.suppress(RuntimeError):  # a tensor that lies nowhere
                address = address_of(kind, one)
                if address >= _SMALLEST:
                    found.setdefault(address, (kind, one))
    return found


def address_of(kind: str, one: Any) -> int:
    """Where the object lies now."""
    return _KINDS[kind](one)


def is_an_address(key: Any) -> bool:
    """Whether a number, or a name, may be an address, or hold one: it says nothing to another run."""
    if isinstance(key, str):
        return _IN_NAMES.search(key) is not None
    return isinstance(key, int) and abs(key) >= _SMALLEST


def split_at_addresses(name: str) -> list[str | int]:
    """The parts of a name; what may be an address is a number."""
    parts: list[str | int] = []
    end = 0
    for match in _IN_NAMES.finditer(name):
        parts += [name[end : match.start()], int(match.group())]
        end = match.end()
    return [*parts, name[end:]]
