"""Whose loop an optimizer step is taken in: the program's own, or one of Lightning's around it."""

from __future__ import annotations

import sys
from types import FrameType

from lab_parity.record.place import Places

__all__ = ["FRAMEWORKS", "Under"]

#: Packages whose code, when it is at work around a step, drives the training.
FRAMEWORKS = ("lightning", "pytorch_lightning", "lightning_fabric")


class Under:
    """Counts the steps that were taken while a framework of `FRAMEWORKS` was at work: `steps[framework]`.

    `first` is the line of the program from which the first step of all came, or empty.
    """

    def __init__(self) -> None:
        self.steps: dict[str, int] = {}
        self.first = ""

    def look(self) -> frozenset[str]:
        """The frameworks that are at work around what called this."""
        self.first = self.first or Places().here().line
        found: set[str] = set()
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            found.add(str(frame.f_globals.get("__name__")).partition(".")[0])
            frame = frame.f_back
        return frozenset(found.intersection(FRAMEWORKS))

    def count(self, seen: frozenset[str]) -> None:
        """A step has been taken, around which these were seen."""
        for name in seen:
            self.steps[name] = self.steps.get(name, 0) + 1
