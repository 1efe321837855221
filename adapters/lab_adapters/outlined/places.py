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
from lab_adapters.outlined.held import say_not_held, say_nowhere
from lab_adapters.outlined.iterators import only_read_by
from lab_adapters.outlined.stale import Stale, Watched


@attrs.define(eq=False)
class Place:
    """One running loop: its body, the index of its current item, and which of its parent's loops it is."""

    body: Any
    places: Places
    depth: int
    ordinal: int
    index: int = -1
    #: How it ended before it used up its items, or its body's last answer.
    ended: Any = None
    created: dict[str, Any] | None = None
    entered: dict[str, Any] | None = None
    #: Loops begun in the current item's body.
    begun: int = 0
    calls: Calls = attrs.Factory(Calls, takes_self=True)
    #: Of the loops that its item's body has left: ordinal -> the generators' states.
    left: dict[int, dict[str, Any]] = attrs.field(factory=dict)

    @property
    def name(self) -> str:
        """Its body's, for what is said of it: a body may be any callable."""
        return getattr(self.body, "__name__", type(self.body).__name__)

    def begin(self, items: Iterable[Any]) -> Iterator[Any]:
        """The loop's items from where it is to go on; none where a resumed training had this loop behind it."""
        resume = self.places.resume
        saved = resume.places[self.depth] if resume is not None and self.depth < len(resume.places) else None
        if resume is None or saved is None:
            self.created = self.places.states()
            return iter(items)
        if self.ordinal < saved["ordinal"]:
            resume.go_past(self.places, dict(saved.get("left", ())).get(self.ordinal))
            return iter(())
        self.created = saved["created"]
        resume.put_back_items(self.places, saved["created"], self)
        iterator = iter(items)
        innermost = self.depth == len(resume.places) - 1
        done = saved["index"] + (1 if innermost else 0)
        if innermost and (owner := only_read_by(items)) is not None:
            # What it prints of its meters, say, it prints of them as the body left them.
            resume.restore_object(owner)
        used = sum(1 for _ in itertools.islice(iterator, min(done, 1)))
        if done > 1:
            resume.watch_items(self)
            used += sum(1 for _ in itertools.islice(iterator, done - 1))
        if used < done:
            raise ValueError(
                f"resume: expected at least {done} items in the loop that runs {self.name}, found {used}; "
                "resume with the data that the checkpoint was written with"
            )
        self.index = done - 1
        if innermost:
            resume.stale.rest()
            self.places.resume = None
            say_nowhere(resume.restore())
            self.ended = resume.ended
        return iterator

    def enter(self) -> None:
        """Count an item; before the body of an outer loop, remember how things are."""
        self.index += 1
        self.begun, self.calls, self.left = 0, Calls(self), {}
        resume = self.places.resume
        if resume is not None:
            # Still on the way in: this body's beginning runs as it ran then.
            self.entered = resume.places[self.depth]["entered"]
            resume.put_back(self.places, self.entered, f"the beginning of {self.name}")
            if not resume.fresh:
                say_not_held(self.body, self.name, (self.entered or {}).get("held", {}), resume.carried)
        else:
            self.entered = self.places.beginning(self)

    def count(self) -> None:
        """Count an item of an innermost loop."""
        self.index += 1

    def leave(self) -> None:
        """The loop has ended."""
        self.places.running.remove(self)
        if not self.depth:
            self.places.over = self
        around = self.places.running[-1] if self.places.running else None
        resume = self.places.resume
        if resume is None:
            self.places.left_beside(self)[self.ordinal] = self.places.beginning(around)
            return
        saved = dict(resume.places[self.depth].get("left", ())) if self.depth < len(resume.places) else {}
        if self.ordinal in saved:
            self.places.left_beside(self)[self.ordinal] = saved[self.ordinal]


@attrs.define
class Resume:
    """What a checkpoint says, and how to put it back once the innermost loop is where it was.

    Code between a loop that a resumed training has behind it and the one that it goes on in runs once more; it finds
    the models and counters as the checkpoint has them, not as they were made: it may save them.
    """

    places: list[dict[str, Any]]
    restore: Callable[[], list[str]]
    restore_object: Callable[[Any], None]
    carried: dict[str, Any] = attrs.field(factory=dict)
    #: What the innermost loop's body had answered, or how the outermost had ended.
    ended: Any = None
    #: What a training changes: the models' tensors, and where asked for those that its loops carry.
    tensors: Callable[[bool], Watched] = lambda carried: {}
    stale: Stale = attrs.field(factory=Stale)
    #: Those of them that had another value then than they had when the code that runs now began.
    changed: Watched = attrs.field(factory=dict)
    #: Whether the code that runs now finds everything as it was then.
    fresh: bool = True
    _early: bool = False

    def put_back(self, places: Places, states: dict[str, Any] | None, where: str, trained: bool = False) -> None:
        """Make things as they were when this code began; what is not kept of then is watched for."""
        self.stale.rest()
        if states is not None:
            places.put_back(states)
        # Before anything was trained, all is as it was.
        self.fresh = (states is not None and "kept" in states) or not (trained or places.has_trained)
        # What this code makes itself is as it was then.
        self.changed = {} if self.fresh else self.tensors(True)
        self.stale.watch(self.changed, where)

    def put_back_items(self, places: Places, states: dict[str, Any], place: Place) -> None:
        """The same for what a loop iterates over: code before it in the same body may have made it."""
        self.stale.rest()
        places.put_back(states)
        if not place.depth and place.ordinal:
            self.changed = self.tensors(True)
        self.stale.watch(self.changed, f"the iterable of the loop that runs {place.name}")

    def watch_items(self, place: Place) -> None:
        """After its first item, which came before any iteration, an iterable reads models that go on changing."""
        self.stale.rest()
        where = f"the iterable of the loop that runs {place.name}"
        self.stale.watch({**self.changed, **self.tensors(False)}, where)

    def go_past(self, places: Places, states: dict[str, Any] | None) -> None:
        """A loop, or a call, that the resumed training has behind it: make things as they were after it."""
        self.stale.rest()
        if states is None or "kept" not in states:
            self.restore_early()
        self.put_back(places, states, "code between two loops", trained=True)

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
    counts, draws from, or loads next. `begin` says, as a whole or only what is small, how models, optimizers and
    schedules are, and `put_beginning` makes them so again.
    """

    hold: Callable[[], dict[str, Any]] = dict
    put: Callable[[dict[str, Any]], None] = lambda held: None
    begin: Callable[[bool], dict[str, Any]] = lambda whole: {}
    put_beginning: Callable[[dict[str, Any]], None] = lambda states: None
    #: Whether anybody may write a checkpoint.
    keeps: bool = False
    running: list[Place] = attrs.field(factory=list)
    #: The outermost loop that has ended last.
    over: Place | None = None
    resume: Resume | None = None
    _roots: int = 0
    _left: dict[int, dict[str, Any]] = attrs.field(factory=dict)

    @property
    def has_trained(self) -> bool:
        """Whether an iteration came before where the loops are: else all is as the program made it."""
        return any(place.index > 0 or place.ordinal > 0 for place in self.running)

    @property
    def bodies(self) -> list[Any]:
        """Of the loops that run; of the outermost where it has just ended."""
        return [place.body for place in self._known]

    @property
    def _known(self) -> list[Place]:
        return self.running or ([self.over] if self.over is not None else [])

    def states(self) -> dict[str, Any]:
        """How the generators, the global ones and the program's own, and its counters are now."""
        return {**generator_states(), "held": self.hold()} if self.keeps else generator_states()

    def beginning(self, place: Place | None) -> dict[str, Any]:
        """The same, and how all else is that code of a loop's body finds before or between the loops inside it."""
        if place is None or not self.keeps:
            return self.states()
        return {**self.begin(getattr(place.body, "__reads_models__", False)), **self.states()}

    def put_back(self, states: dict[str, Any]) -> None:
        """Make them so again."""
        if "kept" in states or "rates" in states:
            self.put_beginning(states)
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

    def paths_held(self) -> set[str]:
        """Of what is put somewhere on the way to where the loops are."""
        found: set[str] = set()
        for place in self._known:
            calls = [made[3] for made in place.calls.done.values()]
            for states in (place.created, place.entered, *self.left_beside(place).values(), *calls):
                found.update((states or {}).get("held", ()), (states or {}).get("kept", {}).get("carried", ()))
        return found

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
            for place in self._known
        ]
