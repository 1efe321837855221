"""Where in its loops a training is: which iteration of which loop, and from where to go on after a checkpoint.

Resuming runs the code before the innermost loop once more, with generators and counters as they were then, passes
over the items that were used up, and only then puts back everything that the checkpoint holds (`Resume.restore`). What
that code prints or writes, it prints or writes again.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

from lab_adapters.generators import generator_states, set_generator_states
from lab_adapters.outlined.calls import Calls
from lab_adapters.outlined.iterators import only_read_by


@attrs.define(eq=False)
class Place:
    """One running loop: its body, the index of its current item, and which of its parent's loops it is."""

    body: Any
    places: Places
    depth: int
    ordinal: int
    index: int = -1
    created: dict[str, Any] | None = None
    entered: dict[str, Any] | None = None
    #: Loops begun in the current item's body.
    begun: int = 0
    calls: Calls = attrs.Factory(Calls, takes_self=True)
    #: Of the loops that its item's body has left: ordinal -> the generators' states.
    left: dict[int, dict[str, Any]] = attrs.field(factory=dict)

    def begin(self, items: Iterable[Any]) -> Iterator[Any]:
        """The loop's items from where it is to go on; none where a resumed training had this loop behind it."""
        resume = self.places.resume
        saved = resume.places[self.depth] if resume is not None and self.depth < len(resume.places) else None
        if resume is None or saved is None:
            self.created = self.places.states()
            return iter(items)
        if self.ordinal < saved["ordinal"]:
            resume.restore_early()
            left = dict(saved.get("left", ())).get(self.ordinal)
            if left is not None:
                self.places.put_back(left)
            return iter(())
        self.created = saved["created"]
        self.places.put_back(saved["created"])
        iterator = iter(items)
        innermost = self.depth == len(resume.places) - 1
        done = saved["index"] + (1 if innermost else 0)
        if innermost and (owner := only_read_by(items)) is not None:
            # What it prints of its meters, say, it prints of them as the body left them.
            resume.restore_object(owner)
        used = sum(1 for _ in itertools.islice(iterator, done))
        if used < done:
            raise ValueError(
                f"resume: expected at least {done} items in the loop that runs {self.body.__name__}, found {used}; "
                "resume with the data that the checkpoint was written with"
            )
        self.index = done - 1
        if innermost:
            self.places.resume = None
            resume.restore()
        return iterator

    def enter(self) -> None:
        """Count an item; before the body of an outer loop, remember how things are."""
        self.index += 1
        self.begun, self.calls, self.left = 0, Calls(self), {}
        resume = self.places.resume
        if resume is not None:
            # Still on the way in: this body's beginning runs as it ran then.
            self.entered = resume.places[self.depth]["entered"]
            if self.entered is not None:
                self.places.put_back(self.entered)
        else:
            self.entered = self.places.states()

    def count(self) -> None:
        """Count an item of an innermost loop."""
        self.index += 1

    def leave(self) -> None:
        """The loop has ended."""
        self.places.running.remove(self)
        self.places.left_beside(self)[self.ordinal] = self.places.states()


@attrs.define
class Resume:
    """What a checkpoint says, and how to put it back once the innermost loop is where it was.

    Code between a loop that a resumed training has behind it and the one that it goes on in runs once more; it finds
    the models and counters as the checkpoint has them, not as they were made: it may save them.
    """

    places: list[dict[str, Any]]
    restore: Callable[[], None]
    restore_object: Callable[[Any], None]
    _early: bool = False

    def restore_early(self) -> None:
        """Put back, once, whatever is there already."""
        if not self._early:
            self._early = True
            with contextlib.suppress(KeyError):
                self.restore()


@attrs.define
class Places:
    """The loops that run now, outermost first.

    `hold` says what the program's own small values are now, and `put` puts them back: what the beginning of an epoch
    counts, draws from, or loads next.
    """

    hold: Callable[[], dict[str, Any]] = dict
    put: Callable[[dict[str, Any]], None] = lambda held: None
    running: list[Place] = attrs.field(factory=list)
    resume: Resume | None = None
    _roots: int = 0
    _left: dict[int, dict[str, Any]] = attrs.field(factory=dict)

    @property
    def bodies(self) -> list[Any]:
        """Of the loops that run."""
        return [place.body for place in self.running]

    def states(self) -> dict[str, Any]:
        """How the generators, the global ones and the program's own, and its counters are now."""
        return {**generator_states(), "held": self.hold()}

    def put_back(self, states: dict[str, Any]) -> None:
        """Make them so again."""
        set_generator_states(states)
        self.put(states.get("held", {}))

    def left_beside(self, place: Place) -> dict[int, dict[str, Any]]:
        """What was left of the loops that began before a place's, inside the same ones."""
        return self.running[place.depth - 1].left if 0 < place.depth <= len(self.running) else self._left

    def start(self, body: Any) -> Place:
        """A loop begins inside those that run."""
        if self.running:
            parent = self.running[-1]
            ordinal, parent.begun = parent.begun, parent.begun + 1
        else:
            ordinal, self._roots = self._roots, self._roots + 1
        place = Place(body, self, len(self.running), ordinal)
        self.running.append(place)
        return place

    def state(self) -> list[dict[str, Any]]:
        """For a checkpoint."""
        return [
            {
                "index": place.index,
                "ordinal": place.ordinal,
                "created": place.created,
                "entered": place.entered,
                "calls": [[number, made] for number, made in place.calls.done.items()],
                "left": [[ordinal, states] for ordinal, states in self.left_beside(place).items()],
            }
            for place in self.running
        ]
