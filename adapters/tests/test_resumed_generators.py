"""Generators that a loop's items come from, and that read what its body did: they know it again on resume."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lab_adapters import outlined


class Step:
    """A batch, and what became of it."""

    loss: Any = 0.0

    def __init__(self, batch: Tensor) -> None:
        self.batch = batch


def summing(batches: list[Tensor], rates: list[float]) -> Iterator[Step]:
    """The rate follows the sum of the losses, and their list."""
    total, losses, best = 0.0, [0.0], {"loss": 1e9}
    for batch in batches:
        step = Step(batch)
        yield step
        total += step.loss
        losses.append(step.loss)
        best["loss"] = min(best["loss"], step.loss)
        rates[0] = 0.1 / (1 + total) + sum(losses) / 100 + best["loss"] / 1000


def inner(batches: list[Tensor], rates: list[float]) -> Iterator[Step]:
    """Behind another generator."""
    yield from summing(batches, rates)


def counted(batches: list[Tensor], rates: list[float]) -> Iterable[Any]:
    """Behind what Python makes iterators of others with."""
    return enumerate(step for _, step in zip(itertools.count(), summing(batches, rates), strict=False))


class Steps:
    """An object that is asked for its generator."""

    def __init__(self, batches: list[Tensor], rates: list[float]) -> None:
        self.batches, self.rates = batches, rates

    def __iter__(self) -> Iterator[Step]:
        return summing(self.batches, self.rates)


def train(
    items: Callable[..., Iterable[Any]], epochs: int = 2, kind: type[torch.optim.SGD] = torch.optim.SGD
) -> list[float]:
    """The losses of 4 batches in each epoch."""
    generator = torch.Generator().manual_seed(0)
    batches = list(torch.randn(4, 3, 2, generator=generator).unbind())
    model = torch.nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.fill_(0.5)
    optimizer = kind(model.parameters(), lr=0.1)
    rates, losses = [0.1], []

    def training_step(item: Any) -> None:
        step = item[1] if isinstance(item, tuple) else item
        optimizer.param_groups[0]["lr"] = rates[0]
        loss = model(step.batch).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step.loss = loss.item()
        losses.append(step.loss)

    def epoch_loop(epoch: int) -> Any:
        yield from outlined.steps(training_step, items(batches, rates))

    outlined.fit(epoch_loop, range(epochs))
    return losses


@pytest.mark.parametrize("at", [3, 6])
@pytest.mark.parametrize("items", [summing, inner, counted, Steps])
def test_what_a_generator_has_summed_up_of_its_loop_is_put_back(
    checkpoint: Any, items: Callable[..., Iterable[Any]], at: int
) -> None:
    """In its own names, and in the item where the loop stands: passed over, it has seen no body."""
    whole = checkpoint.written_at(at, lambda: train(items))
    assert checkpoint.resumed(lambda: train(items)) == whole


def test_a_setting_that_a_generator_was_given_is_the_resumed_runs(checkpoint: Any) -> None:
    """So is what it makes of it before its first item."""
    told: list[int] = []

    def every(batches: list[Tensor], rates: list[float], times: int) -> Iterator[Step]:
        twice = 2 * times
        for batch in batches:
            yield Step(batch)
            told.append(twice)

    checkpoint.written_at(2, lambda: train(lambda batches, rates: every(batches, rates, 1), 1))
    told.clear()
    checkpoint.resumed(lambda: train(lambda batches, rates: every(batches, rates, 3), 1))
    assert told[-1] == 6


def test_a_generator_that_cannot_do_without_its_loop_is_refused(checkpoint: Any) -> None:
    """With its own line, not with an error that says nothing of a resume."""

    def needing(batches: list[Tensor], rates: list[float]) -> Iterator[Step]:
        for batch in batches:
            step = Step(batch)
            step.loss = None
            yield step
            rates[0] = step.loss + 0.1

    checkpoint.written_at(3, lambda: train(needing))
    said = r"items of the loop that runs training_step .* failed at .*test_resumed_generators.py:\d+ \(TypeError"
    with pytest.raises(ValueError, match=re.compile(said)):
        checkpoint.resumed(lambda: train(needing))


@pytest.mark.parametrize("at", [3, 4])
@pytest.mark.parametrize("loader", [list, lambda batches: DataLoader(batches, batch_size=None)])
def test_a_generator_that_takes_as_the_loops_body_has_come_is_refused_where_it_took_otherwise(
    checkpoint: Any, loader: Callable[[list[Tensor]], Iterable[Tensor]], at: int
) -> None:
    """As one that accumulates more batches from a step on (OpenNMT's): passed over, it sees no step, or all of them."""

    def accumulating(batches: list[Tensor], rates: list[float]) -> Iterator[Step]:
        taken = []
        for _, batch in enumerate(loader(batches * 4)):
            taken.append(batch)
            if len(taken) == (3 if state["steps"] >= 3 else 1):
                yield Step(torch.cat(taken))
                rates[0] = 0.1
                taken = []

    class Counted(torch.optim.SGD):
        def step(self, *arguments: Any) -> None:
            super().step(*arguments)
            state["steps"] += 1

    state = {"steps": 0}
    whole = checkpoint.written_at(at, lambda: train(accumulating, 1, Counted))
    state["steps"] = 0
    if at == 3:
        assert checkpoint.resumed(lambda: train(accumulating, 1, Counted)) == whole
        return
    with pytest.raises(ValueError, match=r"could not be passed over as they were taken: expected .*accumulating"):
        checkpoint.resumed(lambda: train(accumulating, 1, Counted))
