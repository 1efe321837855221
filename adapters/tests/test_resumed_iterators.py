"""Iterators that a loop makes itself (`it = iter(loader)`, `next(it)`), resumed before their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler, Sampler, TensorDataset

from lab_adapters import outlined

DATA = TensorDataset(torch.arange(12.0).unsqueeze(1))


class Own(Sampler[int]):
    """Draws by a generator of its own, and counts how often it was asked."""

    def __init__(self) -> None:
        self.rng, self.asked = np.random.default_rng(1), 0

    def __iter__(self) -> Iterator[int]:
        self.asked += 1
        return iter(((self.rng.permutation(12) + self.asked) % (4 + self.asked)).tolist())

    def __len__(self) -> int:
        return 12


def seeded() -> torch.Generator:
    """What guides to reproducibility give a loader."""
    return torch.Generator().manual_seed(0)


LOADERS: dict[str, Callable[[], DataLoader[Any]]] = {
    "generator": lambda: DataLoader(DATA, 4, shuffle=True, generator=seeded()),
    "sampler": lambda: DataLoader(DATA, 4, sampler=RandomSampler(DATA, generator=seeded())),
    "own sampler": lambda: DataLoader(DATA, 4, sampler=Own()),
}


def train(make: Callable[[], DataLoader[Any]]) -> list[str]:
    """Three epochs, each over an iterator that it makes and asks."""
    model, said = torch.nn.Linear(1, 1), []
    torch.nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    loader = make()

    def epoch_loop(_: int) -> Any:
        batches = iter(loader)

        def training_step(_: int) -> Any:
            (x,) = next(batches)
            optimizer.zero_grad()
            (model(x) - x).square().mean().backward()
            optimizer.step()
            said.append(f"{x.flatten().tolist()} {model.weight.item().hex()}")

        yield from outlined.steps(training_step, range(3))

    outlined.fit(epoch_loop, range(3))
    return said


@pytest.mark.parametrize("name", LOADERS)
def test_an_iterator_of_a_loader_with_a_generator_of_its_own_goes_on(checkpoint: Any, name: str) -> None:
    """Its order was drawn again from where that generator stood later: other batches, and nothing said so."""
    whole = checkpoint.written_at(2, lambda: train(LOADERS[name]))
    # What was said before the checkpoint is carried, too: a list of the program's.
    assert checkpoint.resumed(lambda: train(LOADERS[name])) == whole
    assert len(whole) == 9


class Once(type):
    """A metaclass that makes one object of each class."""

    made: dict[type, Any] = {}

    def __call__(cls, *arguments: Any) -> Any:
        """The one."""
        if cls not in Once.made:
            Once.made[cls] = super().__call__(*arguments)
        return Once.made[cls]


class Log(metaclass=Once):
    """Counts."""

    def __init__(self) -> None:
        self.steps = 0


def by_replacing(replace: Callable[[Any, int], None], *, first: Any) -> list[float]:
    """Two epochs of a step that asks an iterator which it replaces on its way, and a singleton."""
    Once.made.clear()
    model, said, held = torch.nn.Linear(1, 1), [], Holder()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    held.items = first

    def epoch_loop(_: int) -> Any:
        def training_step(_: int) -> None:
            replace(held, len(said))
            Log().steps += 1
            model(torch.ones(1, 1)).sum().backward()
            optimizer.step()
            said.append(float(next(held.items)) + 100 * Log().steps)

        yield from outlined.steps(training_step, range(4))

    outlined.fit(epoch_loop, range(2))
    return said


class Holder:
    """Holds an iterator."""

    items: Any


def permuted(held: Holder, done: int) -> None:
    """Another order once the last one is used up."""
    if done % 3 == 0:
        held.items = iter(np.random.default_rng(done).permutation(3))


def endless(first: int) -> Iterator[int]:
    """Numbers."""
    while True:
        yield first
        first += 1


def another(held: Holder, done: int) -> None:
    """Another generator from the third step on."""
    if done == 2:
        held.items = endless(50)


def test_an_iterator_over_a_sequence_that_a_step_makes_goes_on(checkpoint: Any) -> None:
    """It was refused, and asked for other data; and what a singleton's metaclass holds was forgotten in silence."""
    whole = checkpoint.written_at(6, lambda: by_replacing(permuted, first=iter(())))
    assert checkpoint.resumed(lambda: by_replacing(permuted, first=iter(()))) == whole
    assert len(whole) == 8


def test_a_generator_that_a_step_puts_in_the_place_of_another_is_said(checkpoint: Any) -> None:
    """The first one's items were passed over, in silence: phases that take their batches from another feed."""
    whole = checkpoint.written_at(6, lambda: by_replacing(another, first=endless(0)))
    with pytest.warns(UserWarning, match="put this iterator in the place of another"):
        assert checkpoint.resumed(lambda: by_replacing(another, first=endless(0))) != whole
