"""What an observation is about."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["AROUND", "Key"]

AROUND = "around."
"""Before the fields of a state that the outer of two optimizers has, and not the one inside."""


class Key(NamedTuple):
    """What an observation is about; `micro` is -1 for what belongs to the whole step."""

    phase: str
    micro: int
    name: str
    field: str
