"""How a loop body says what its loop should do next, and how nested loops hand their steps up to Lightning."""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import attrs

from lab_adapters.outlined.arguments import Arguments
from lab_adapters.outlined.packing import MISSING, Packing
from lab_adapters.outlined.places import Places
from lab_adapters.outlined.unpacking import Unpacking

#: In a thread that runs a `fit`: its `driver`, and the `places` of its loops.
running = threading.local()


@attrs.frozen
class _Break:
    """The only value of its type."""

    def __repr__(self) -> str:
        return "outlined.BREAK"


#: What a loop body returns instead of `break`.
BREAK = _Break()


@attrs.frozen
class Return:
    """What a loop body returns instead of `return value`: its loop ends, and the function around it returns `value`."""

    value: Any = None


#: How a loop ended: None when its items were used up, BREAK, or a Return.
Ended = _Break | Return | None
Body = Callable[..., Any]


@attrs.frozen(eq=False)
class Step:
    """One iteration that waits to be run: a body and its item."""

    body: Body
    item: Any


@attrs.frozen
class Raised:
    """An exception that cannot pass through a generator as itself, on its way to the code around a loop."""

    error: BaseException


Steps = Generator[Step, Any, Any]


@attrs.frozen(eq=False)
class Marked:
    """A function whose loops are handed over, and of its parameters whether they train."""

    function: Callable[..., Steps]
    condition: Callable[..., Any] | None = None

    def trains(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether this call's loops train; a call that does not fit is for the function itself to refuse."""
        if self.condition is None:
            return True
        try:
            bound = inspect.signature(self.function).bind(*args, **kwargs)
        except TypeError:
            return True
        bound.apply_defaults()
        return bool(self.condition(*[bound.arguments[name] for name in inspect.signature(self.condition).parameters]))


def steps(body: Body, items: Iterable[Any], *, trains: Any = True) -> Steps:
    """Hand over each iteration of a loop; the value of `yield from` says how it ended.

    One that does not train (`trains`) simply runs.

    `items` is iterated once, lazily. `body` is a function of an item, or a generator function whose own
    `yield from steps(…)` hands over the iterations of a loop inside.
    """
    places: Places | None = getattr(running, "places", None)
    if not trains:
        legacy = _steps(body, items)
        del items
        return run_plain(legacy)
    if places is None:
        try:
            return (yield from _steps(body, items))
        finally:
            del items
    place = places.start(body)
    with places.unwatched():
        running.driver.carried.remember(places.bodies, place.depth, places.has_trained)
    note = place.enter if inspect.isgeneratorfunction(body) else place.count
    try:
        begun = [place.begin(items)]
        if place.ended is None:
            place.ended = yield from _steps(body, begun.pop(), note)
        return place.ended
    finally:
        # An error keeps this frame: what the items' own `finally` does is done before any handler, as around a loop. So
        # no name in it may hold them.
        del items
        place.leave()


def _steps(body: Body, items: Iterable[Any], note: Callable[[Any], object] = lambda item: None) -> Steps:
    """`note` is called with each item, before its iteration."""
    nested = inspect.isgeneratorfunction(body)
    try:
        for item in items:
            note(item)
            ended = (yield from body(item)) if nested else (yield Step(body, item))
            if ended is not None:
                return ended
        return None
    finally:
        del items


def answer_state(answer: Any) -> Any:
    """How a loop ended, or what its body has answered, for a checkpoint; None where it goes on."""
    if answer is None:
        return None
    if isinstance(answer, Return):
        packed = Packing().whole(answer.value)
        return {"kind": "return"} if packed is MISSING else {"kind": "return", "value": packed}
    return {"kind": "break" if answer is BREAK else "stop"}


def answer_of(state: Any) -> Any:
    """What `answer_state` was given. Raises `ValueError` for a value that no checkpoint holds."""
    if state is None:
        return None
    if state["kind"] == "return":
        if "value" not in state:
            raise ValueError(
                "resume: expected what the loop returned in its last iteration, found none, since no checkpoint can "
                "hold it; resume from an earlier checkpoint"
            )
        return Return(Unpacking().unpack(state["value"]))
    return BREAK if state["kind"] == "break" else Raised(StopIteration())


def result(ended: Any) -> Any:
    """How a loop ended; raises here what its body raised and no generator lets through (`StopIteration`)."""
    if isinstance(ended, Raised):
        raise ended.error
    return ended


def endless() -> Iterator[None]:
    """The items of `while True`."""
    return itertools.repeat(None)


def while_(condition: Callable[[], Any]) -> Iterator[None]:
    """The items of `while condition()`: one as long as it holds, asked before each iteration."""
    while condition():
        yield None


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Steps:
    """Call a function and hand over the iterations of its loops; the value of `yield from` is what it returns.

    A function that is not (or, in a subclass, not any more) marked with `outlined.loop` is called as it is.
    """
    if isinstance(function, functools.partial) and hasattr(function.func, "__outlined__"):
        given: functools.partial[Any] = function
        function, args, kwargs = given.func, (*given.args, *args), {**given.keywords, **kwargs}
    marked = getattr(function, "__outlined__", None)
    # A decorator that copied the mark from what it wraps must itself be called.
    if marked is None or marked[0] is not getattr(function, "__func__", function):
        return function(*args, **kwargs)
    if inspect.ismethod(function):
        args = (function.__self__, *args)
    looks = not marked[1].trains(args, kwargs)
    places: Places | None = getattr(running, "places", None)
    if places is None or not places.running:
        return (
            run_plain(marked[1].function(*args, **kwargs))
            if looks
            else (yield from marked[1].function(*args, **kwargs))
        )
    calls = places.running[-1].calls
    given_now = Arguments.of(function, args, kwargs)
    made = calls.enter(places, given_now)
    if made is not None:
        return made.value
    began = calls.begin(given_now)
    legacy = marked[1].function(*args, **kwargs)
    value = run_plain(legacy) if looks else (yield from legacy)
    calls.end(began, value)
    return value


def run_plain(legacy: Steps) -> Any:
    """Run the iterations that a generator hands over, one after the other; what the generator returns."""
    kept, running.places = getattr(running, "places", None), None
    try:
        return _run_plain(legacy)
    finally:
        running.places = kept


def _run_plain(legacy: Steps) -> Any:
    go: Callable[[], Step] = functools.partial(next, legacy)
    while True:
        try:
            step = go()
        except StopIteration as end:
            return end.value
        try:
            answer = step.body(step.item)
        except StopIteration as error:
            go = functools.partial(legacy.send, Raised(error))
        except BaseException as error:
            go = functools.partial(legacy.throw, error)
        else:
            go = functools.partial(legacy.send, answer)
