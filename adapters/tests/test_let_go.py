"""What a training leaves is freed as its function returns, as without Lightning: worker processes end there."""

from __future__ import annotations

import gc
import multiprocessing
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from lab_adapters import outlined


class Feed:
    """Batches, and something that the loop leaves behind."""

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.ones(2, 4, 3))


def of_one_loop(feed: Feed, model: torch.nn.Linear) -> None:
    """Its body knows the feed."""

    def training_step(batch: torch.Tensor) -> None:
        assert feed
        model(batch).sum().backward()

    outlined.fit(training_step, feed)


@outlined.loop
def epoch(feed: Feed, model: torch.nn.Linear) -> outlined.Steps:
    """A function of its own, which returns what it was given."""

    def training_step(batch: torch.Tensor) -> None:
        model(batch).sum().backward()

    yield from outlined.steps(training_step, feed)
    return feed


def of_epochs(feed: Feed, model: torch.nn.Linear) -> None:
    """The feed goes through calls."""

    def each(_: int) -> outlined.Steps:
        yield from outlined.call(epoch, feed, model)

    outlined.fit(each, range(2))


def of_an_error(feed: Feed, model: torch.nn.Linear) -> None:
    """It ends by an error of the program's own."""

    def training_step(batch: torch.Tensor) -> None:
        model(batch).sum().backward()
        raise KeyError(feed)

    with pytest.raises(KeyError):
        outlined.fit(training_step, feed)


@pytest.mark.parametrize("train", [of_one_loop, of_epochs, of_an_error])
def test_what_a_training_leaves_is_freed_as_its_function_returns(train: Callable[[Feed, Any], None]) -> None:
    """Without the garbage collector: Lightning's Trainer lies in cycles, and must not hold what is the program's."""

    def program() -> weakref.ref[Feed]:
        feed = Feed()
        train(feed, torch.nn.Linear(3, 1))
        return weakref.ref(feed)

    gc.disable()
    try:
        assert program()() is None
    finally:
        gc.enable()


def test_workers_end_with_the_training_that_pulled_from_them() -> None:
    """A generator around a loader, which nothing ends but its own end."""

    def program() -> None:
        loader = torch.utils.data.DataLoader(torch.ones(8, 3), batch_size=4, num_workers=1)  # type: ignore[arg-type]
        batches = (batch for _ in range(9) for batch in loader)
        model = torch.nn.Linear(3, 1)

        def training_step(_: int) -> None:
            model(next(batches)).sum().backward()

        outlined.fit(training_step, range(3))

    gc.disable()
    try:
        program()
        assert not multiprocessing.active_children()
    finally:
        gc.enable()
