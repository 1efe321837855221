"""Where something stands in a file."""

from __future__ import annotations

import attrs

__all__ = ["NOWHERE", "Place"]


@attrs.frozen(order=True)
class Place:
    """A line of a file as the user named it; `line` counts from 1, 0 means the whole file."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


#: For what was made by a program, not read from a file.
NOWHERE = Place("")
