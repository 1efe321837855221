"""What an observation is about."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["AROUND", "AT_FORWARD", "Key"]

AROUND = "around."
"""Before the fields of a state that the outer of two optimizers has, and not the one inside."""
AT_FORWARD = "at forward"
"""The field of an average as it was when the last micro-step before an update began; behind the update it has none."""


class Key(NamedTuple):
    """What an observation is about; `micro` is -1 for what belongs to the whole step."""

    phase: str
    micro: int
    name: str
    field: str
