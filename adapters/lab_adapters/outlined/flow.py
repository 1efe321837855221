"""How a loop body says what its loop should do next, and how nested loops hand their steps up to Lightning."""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import attrs

from lab_adapters.outlined.places import Places

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


def steps(body: Body, items: Iterable[Any]) -> Steps:
    """Hand over each iteration of a loop; the value of `yield from` says how it ended.

    `items` is iterated once, lazily. `body` is a function of an item, or a generator function whose own
    `yield from steps(…)` hands over the iterations of a loop inside.
    """
    places: Places | None = getattr(running, "places", None)
    if places is None:
        try:
            return (yield from _steps(body, items))
        finally:
            del items
    place = places.start(body)
    running.driver.carried.remember([one.body for one in places.running])
    note = place.enter if inspect.isgeneratorfunction(body) else place.count
    try:
        return (yield from _steps(body, place.begin(items), note))
    finally:
        # An error keeps this frame: what the items' own `finally` does is done before any handler, as around a loop.
        del items
        place.leave()


def _steps(body: Body, items: Iterable[Any], note: Callable[[], object] = lambda: None) -> Steps:
    """`note` is called before each item."""
    nested = inspect.isgeneratorfunction(body)
    try:
        for item in items:
            note()
            ended = (yield from body(item)) if nested else (yield Step(body, item))
            if ended is not None:
                return ended
        return None
    finally:
        del items


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
    marked = getattr(function, "__outlined__", None)
    # A decorator that copied the mark from what it wraps must itself be called.
    if marked is None or marked[0] is not getattr(function, "__func__", function):
        return function(*args, **kwargs)
    if inspect.ismethod(function):
        args = (function.__self__, *args)
    places: Places | None = getattr(running, "places", None)
    if places is None or not places.running:
        return (yield from marked[1](*args, **kwargs))
    calls = places.running[-1].calls
    made = calls.enter(places)
    if made is not None:
        return made.value
    began = calls.begin()
    value = yield from marked[1](*args, **kwargs)
    calls.end(began, value)
    return value
