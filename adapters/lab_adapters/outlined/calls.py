"""Calls of converted functions that have returned within an iteration of the loop around them.

A resumed training goes past them: what `train_epoch()` returned is in the checkpoint, so that neither its code nor its
prints run again when the checkpoint was written in the validation after it.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from lab_adapters.outlined.packing import MISSING, Packing
from lab_adapters.outlined.unpacking import Unpacking

if TYPE_CHECKING:
    from lab_adapters.outlined.arguments import Arguments
    from lab_adapters.outlined.places import Place, Places

__all__ = ["Calls"]


class Began(NamedTuple):
    """A call that has begun: its number, and the loops and calls, and what was beside them, when it did."""

    number: int
    loops: int
    calls: int
    beside: int


class Made(NamedTuple):
    """A call that had returned before the checkpoint was written."""

    value: Any


def _weakly(place: Place) -> Place:
    held: Place = weakref.proxy(place)
    return held


@attrs.define(eq=False)
class Calls:
    """Of one iteration of `place`, which holds it: how many calls have begun, and what those that have returned gave.

    The place is held weakly: in a cycle, what the program has left would live until the garbage collector runs.
    """

    place: Place = attrs.field(converter=_weakly)
    begun: int = 0
    #: number -> [packed value, loops begun in it, calls begun in it, the generators' states after it]
    done: dict[int, list[Any]] = attrs.field(factory=dict)

    def enter(self, places: Places, given: Arguments) -> Made | None:
        """What the next call returned, where a resumed training has it behind it."""
        resume = places.resume
        if resume is None or self.place.depth >= len(resume.places):
            return None
        done = dict(resume.places[self.place.depth].get("calls", ()))
        if self.begun not in done:
            return None
        value, loops, calls, states = self.done[self.begun] = done[self.begun]
        self.begun += calls
        self.place.begun += loops
        self.place.beside.append(given)
        resume.go_past(places, states)
        return Made(Unpacking().unpack(value))

    def begin(self, given: Arguments) -> Began:
        """The next call begins."""
        self.begun += 1
        self.place.beside.append(given)
        return Began(self.begun - 1, self.place.begun, self.begun - 1, len(self.place.beside))

    def end(self, began: Began, value: Any) -> None:
        """It has returned. A value that no checkpoint can hold is asked for again on resume."""
        # Names of its own are nobody's any more.
        del self.place.beside[began.beside :]
        packed = Packing().whole(value)
        if packed is not MISSING:
            loops, calls = self.place.begun - began.loops, self.begun - began.calls
            self.done[began.number] = [packed, loops, calls, self.place.places.beginning(self.place)]
