"""Where in its loops a training is: which iteration of which loop, and from where to go on after a checkpoint.

Resuming runs the code before the innermost loop once more, with generators and counters as they were then, passes
over the items that were used up, and only then puts back everything that the checkpoint holds (`Resume.restore`). What
that code prints or writes, it prints or writes again.
"""

from __future__ import annotations

import contextlib
import itertools
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

from lab_adapters.generators import generator_states, set_generator_states
from lab_adapters.outlined.calls import Calls
from lab_adapters.outlined.frames import generators_of, names_now, put_names
from lab_adapters.outlined.held import say_not_held, say_nowhere
from lab_adapters.outlined.item import Item
from lab_adapters.outlined.iterators import only_read_by
from lab_adapters.outlined.plain_values import changed_names
from lab_adapters.outlined.positions import positions_of, require_same
from lab_adapters.outlined.resume import Resume

#: How many outermost loops that have ended are looked into.
_MOST_BESIDE = 16


@attrs.define(eq=False)
class Place:
    """One running loop: its body, the index of its current item, and which of its parent's loops it is."""

    body: Any
    places: Places
    depth: int
    ordinal: int
    index: int = -1
    #: The current item's number: itself, or that of `enumerate`; None where it has none.
    number: int | None = None
    #: How it ended before it used up its items, or its body's last answer.
    ended: Any = None
    created: dict[str, Any] | None = None
    entered: dict[str, Any] | None = None
    #: Loops begun in the current item's body.
    begun: int = 0
    calls: Calls = attrs.Factory(Calls, takes_self=True)
    #: Bodies of the loops that its item's body has left, and what calls were given: names that no running loop has.
    beside: list[Any] = attrs.field(factory=list)
    #: Of the loops that its item's body has left: ordinal -> the generators' states.
    left: dict[int, dict[str, Any]] = attrs.field(factory=dict)
    #: The generators that its items come from, held by nobody here: the end of the loop is theirs.
    _generators: list[weakref.ref[Any]] = attrs.field(factory=list)
    #: What they kept in their own names at the first item.
    _first: list[dict[str, Any]] = attrs.field(factory=list)
    #: The current one of an innermost loop.
    _item: Item = attrs.Factory(Item)

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
            return self._known(iter(items))
        if self.ordinal < saved["ordinal"]:
            resume.go_past(self.places, dict(saved.get("left", ())).get(self.ordinal))
            return iter(())
        self.created = saved["created"]
        resume.put_back_items(self.places, saved["created"], self)
        iterator = self._known(iter(items))
        innermost = self.depth == len(resume.places) - 1
        done = saved["index"] + (1 if innermost else 0)
        if innermost and (owner := only_read_by(items)) is not None:
            # What it prints of its meters, say, it prints of them as the body left them.
            resume.restore_object(owner)
        used = self._pass_over(iterator, min(done, 1))
        if done > 1:
            resume.watch_items(self)
            used += self._pass_over(iterator, done - 1)
        if used < done:
            raise ValueError(
                f"resume: expected at least {done} items in the loop that runs {self.name}, found {used}; "
                "resume with the data that the checkpoint was written with"
            )
        self.index = done - 1
        if innermost:
            self._same_number(saved.get("number"))
            resume.stale.rest()
            self.places.resume = None
            say_nowhere(resume.restore())
            put_names(self._living(), saved.get("names", []))
            self._item.put(saved.get("item", {}))
            for place, known in zip(self.places.running, resume.places, strict=False):
                require_same(known.get("positions", []), place._living(), place.name)
            self.ended = resume.ended
            return iterator
        return self._to_the_next(iterator, done)

    def _known(self, iterator: Iterator[Any]) -> Iterator[Any]:
        """The iterator, its generators noted."""
        if self.places.keeps or self.places.resume is not None:
            self._generators = [weakref.ref(one) for one in generators_of(iterator)]
        return iterator

    def _living(self) -> list[Any]:
        """They and those that they have made since."""
        living = [one for known in self._generators if (one := known()) is not None]
        return list({id(inner): inner for one in living for inner in generators_of(one)}.values())

    def _pass_over(self, iterator: Iterator[Any], items: int) -> int:
        """How many there were."""
        used = 0
        for item in self._to_the_next(itertools.islice(iterator, items), 0):
            self.number = _number_of(item)
            if not used and not self._first:
                self._first = names_now(self._living())
            self._item = Item(item if self._generators else None)
            used += 1
        return used

    def _to_the_next(self, iterator: Iterator[Any], done: int) -> Iterator[Any]:
        """The items; where one cannot be had without the bodies before it, that is said.

        Raises `ValueError` then, since what the loop goes on with would not be what it was.
        """
        while True:
            try:
                item = next(iterator)
            except StopIteration:
                return
            except Exception as error:
                if self.places.resume is None or not (done or self._first):
                    raise
                last = traceback.extract_tb(error.__traceback__)[-1]
                raise ValueError(
                    f"resume: the items of the loop that runs {self.name} could not be passed over: what makes them "
                    f"failed at {last.filename}:{last.lineno} ({type(error).__name__}: {error}), as where it reads "
                    "what the loop's body did with the item before; do that in the loop's body, or write checkpoints "
                    "within the loop's first item"
                ) from error
            yield item

    def enter(self, item: Any) -> None:
        """Count an item; before the body of an outer loop, remember how things are."""
        self.count(item)
        self.begun, self.calls, self.left, self.beside = 0, Calls(self), {}, []
        resume = self.places.resume
        self.places.iterate(self.depth)
        if resume is not None:
            # Still on the way in: this body's beginning runs as it ran then.
            self._same_number(resume.places[self.depth].get("number"))
            self.entered = resume.places[self.depth]["entered"]
            put_names(self._living(), resume.places[self.depth].get("names", []))
            resume.put_back(self.places, self.entered, f"the beginning of {self.name}")
            if not resume.fresh:
                say_not_held(self.body, self.name, (self.entered or {}).get("held", {}), resume.carried)
        else:
            self.entered = self.places.beginning(self)

    def count(self, item: Any) -> None:
        """Count an item of an innermost loop."""
        self.index += 1
        self.number = _number_of(item)
        if not self.index:
            self._first = names_now(self._living())
        if self._generators:
            self._item = Item(item)

    def names(self) -> list[dict[str, Any]]:
        """What the generators of its items keep in names of their own, and did not at the first item."""
        return changed_names(self._first, names_now(self._living()))

    def item(self) -> dict[int, dict[str, Any]]:
        """What the innermost loop's body has done to its item."""
        return self._item.changed()

    def _same_number(self, then: int | None) -> None:
        """Raises `ValueError` where the program begins elsewhere, as where it goes on from a checkpoint of its own."""
        if then is not None and self.number is not None and self.number != then:
            raise ValueError(
                f"resume: the loop that runs {self.name}: expected {then} for its item {self.index + 1}, as when the "
                f"checkpoint was written, found {self.number}; start the program as it was started then, without what "
                "makes it go on from a checkpoint of its own"
            )

    def leave(self) -> None:
        """The loop has ended."""
        resume = self.places.resume
        around = self.places.running[self.depth - 1] if self.depth else None
        self.beside = []
        states = self.places.beginning(around) if resume is None else None
        self.places.running.remove(self)
        (around.beside if around is not None else self.places.beside).append(self.body)
        if not self.depth:
            self.places.over = self
        if resume is None:
            assert states is not None
            self.places.left_beside(self)[self.ordinal] = states
            return
        saved = dict(resume.places[self.depth].get("left", ())) if self.depth < len(resume.places) else {}
        if self.ordinal in saved:
            self.places.left_beside(self)[self.ordinal] = saved[self.ordinal]


def _number_of(item: Any) -> int | None:
    """Of an epoch or a batch, where it is counted: other items may be settings."""
    first = item[0] if type(item) is tuple and len(item) == 2 else item
    return first if type(first) is int else None


@attrs.define
class Places:
    """The loops that run now, outermost first.

    `hold` says what the program's own small values are now, and `put` puts them back: what the beginning of an epoch
    counts, draws from, or loads next. `iterate` is told that an iteration begins, and how many loops are around it.
    `begin` says, as a whole or only what is small, how models, optimizers and schedules are, and `put_beginning` makes
    them so again.
    """

    hold: Callable[[], dict[str, Any]] = dict
    put: Callable[[dict[str, Any]], None] = lambda held: None
    iterate: Callable[[int], None] = lambda depth: None
    begin: Callable[[bool], dict[str, Any]] = lambda whole: {}
    put_beginning: Callable[[dict[str, Any]], None] = lambda states: None
    #: Whether anybody may write a checkpoint.
    keeps: bool = False
    running: list[Place] = attrs.field(factory=list)
    #: The outermost loop that has ended last.
    over: Place | None = None
    resume: Resume | None = None
    #: Bodies of outermost loops that have ended.
    beside: deque[Any] = attrs.field(factory=lambda: deque(maxlen=_MOST_BESIDE))
    _roots: int = 0
    _left: dict[int, dict[str, Any]] = attrs.field(factory=dict)

    @property
    def has_trained(self) -> bool:
        """Whether an iteration came before where the loops are: else all is as the program made it."""
        return any(place.index > 0 or place.ordinal > 0 for place in self.running)

    def goes_on_later(self) -> bool:
        """Whether a resumed training is on its way to a later iteration of a loop around."""
        return self.resume is not None and self.has_trained

    @property
    def bodies(self) -> list[Any]:
        """Of the loops that run, or of the outermost where it has ended; and what else the code around them has."""
        beside = [*self.beside, *(one for place in self._known for one in place.beside)]
        return [*(place.body for place in self._known), *beside]

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
        held = states.get("held", {})
        if self.resume is not None:
            self.resume.make(held)
        if "kept" in states or "rates" in states:
            self.put_beginning(states)
        set_generator_states(states)
        self.put(held)

    def require_resumed(self) -> None:
        """Raises `ValueError` where a program has ended before it came to where it was to go on."""
        if self.resume is not None:
            raise ValueError(
                f"resume: expected to come to item {self.resume.places[-1]['index'] + 1} of a loop in "
                f"{len(self.resume.places) - 1} others, where the checkpoint was written, found the end of the "
                "training; start the program as it was started then, without what makes it go on from a checkpoint of "
                "its own"
            )

    def unwatched(self) -> contextlib.AbstractContextManager[None]:
        """While what runs is not the program's: its reads say nothing of what a resumed training computes."""
        return contextlib.nullcontext() if self.resume is None else self.resume.stale.resting()

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

    def let_go(self) -> None:
        """Hold nothing of the program's any more."""
        self.over, self.resume = None, None
        self.running.clear()
        self.beside.clear()
        self._left.clear()

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
                "number": place.number,
                "names": place.names(),
                "item": place.item(),
                "positions": positions_of(place._living()),
                "created": place.created,
                "entered": place.entered,
                "calls": [[number, made] for number, made in place.calls.done.items()],
                "left": [[ordinal, states] for ordinal, states in self.left_beside(place).items()],
            }
            for place in self._known
        ]
