"""What a program calls between a backward pass and an update, or between two updates: reduction, clips, schedules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lab_parity.record.notes import Notes
from lab_parity.record.phases.clip import Clips
from lab_parity.record.phases.reduce import Reductions
from lab_parity.record.phases.schedule import Schedules
from lab_parity.record.view import OptimizerView
from lab_parity.trace import Key, Row

__all__ = ["Calls", "Waiting"]

Waiting = tuple[list[Any], list[Any]]
"""Calls of each kind, as those who book them have them."""


class Calls:
    """Collects them until an update; `active` says whether one may come that is recorded, `clipped` hears of clips."""

    def __init__(self, notes: Notes, active: Callable[[], bool], clipped: Callable[[], None]) -> None:
        self._clips = Clips(notes, active, clipped)
        self._reductions = Reductions(notes, active)
        self._schedules = Schedules(notes, active)

    def watch(self) -> list[Callable[[], None]]:
        """Put the hooks in place; returns what takes them away."""
        return [*self._clips.watch(), *self._reductions.watch(), *self._schedules.watch()]

    def take(self, view: OptimizerView) -> tuple[list[Row], list[Row]]:
        """Rows that belong before the gradients of an update, and rows that belong behind them."""
        asked, norms = self._clips.take(view.tensors)
        return [*self._reductions.take(view.parameters()), *asked], norms

    def schedules(self, optimizers: Sequence[Any]) -> dict[Key, Row]:
        """Where schedules stand when an update begins; of two of one name that of the last optimizer."""
        return {row.key: row for optimizer in optimizers for row in self._schedules.take(optimizer)}

    def waiting(self) -> Waiting:
        """What the next `take` takes from, to be given back after it."""
        return self._clips.waiting(), self._reductions.waiting()

    def give_back(self, waiting: Waiting) -> None:
        """What has been taken belongs to the update that is still to come."""
        self._clips.give_back(waiting[0])
        self._reductions.give_back(waiting[1])

    def forget(self) -> None:
        """An update was not recorded; where a schedule stands counts for the next one, too."""
        self._clips.forget()
        self._reductions.forget()
