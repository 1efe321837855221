"""Where a program stands in a file that it reads from, an own data format of text lines, say.

Of files that it writes nothing is kept: what is in them is there.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

__all__ = ["LOST", "place_in", "put_place"]

#: A place that cannot be asked for: a text file says none while `next` reads its lines.
LOST = "lost"


def place_in(file: io.IOBase) -> Any:
    """A number, `LOST`, or None for a file that is closed, or written to, or that has no places."""
    with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
        if file.closed or not file.readable() or file.writable() or not file.seekable():
            return None
        try:
            return file.tell()
        except OSError:
            return LOST
    return None


def put_place(file: Any, place: int | None) -> Any:
    """The file, at that place; what is none, or is closed, stays as it is."""
    if place is not None and isinstance(file, io.IOBase) and not file.closed:
        file.seek(place)
    return file
