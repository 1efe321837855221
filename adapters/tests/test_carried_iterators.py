"""What a loop pulls its batches from goes on where it was: iterators, generators, environments, bars, meters."""

from __future__ import annotations

import itertools
import random
import types
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lab_adapters import outlined

Said = list[str]
Training = Callable[[Said], None]


def loader_of(*, workers: int = 0) -> torch.utils.data.DataLoader[Any]:
    """20 items, shuffled by the global generator, with a transform that draws from it as well."""

    class Noisy(torch.utils.data.Dataset[Tensor]):
        def __init__(self) -> None:
            self.items, self.read = torch.arange(60.0).reshape(20, 3) / 60, 0

        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: int) -> Tensor:
            self.read += 1
            return self.items[index] + 0.01 * torch.rand(3) + 0.001 * self.read

    return torch.utils.data.DataLoader(Noisy(), batch_size=4, shuffle=True, num_workers=workers)


class Feed:
    """Endless batches with generators of its own: torch's, numpy's new and old, Python's."""

    def __init__(self) -> None:
        self.torch = torch.Generator().manual_seed(1)
        self.numpy, self.old = np.random.default_rng(1), np.random.RandomState(1)
        self.python = random.Random(1)

    def pull(self) -> Tensor:
        """The next batch."""
        drawn = self.numpy.random() + self.old.rand() + self.python.random()
        return torch.randn(4, 3, generator=self.torch) + drawn


class Restarting:
    """An iterator class that makes its loader's iterator anew at the end."""

    def __init__(self, loader: Any) -> None:
        self.loader, self.it, self.epochs = loader, iter(loader), 0

    def __next__(self) -> Tensor:
        try:
            return next(self.it)  # type: ignore[no-any-return]
        except StopIteration:
            self.it, self.epochs = iter(self.loader), self.epochs + 1
            return next(self.it)  # type: ignore[no-any-return]


def cycle(loader: Any) -> Iterator[Tensor]:
    """The usual one."""
    while True:
        yield from loader


class Agent(torch.nn.Module):
    """A model that holds its optimizer, and what it has seen, itself; a part of it changes mode on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout(0.5))
        self.optimizer = torch.optim.Adam(self.parameters(), 0.1)
        self.recent: deque[float] = deque(maxlen=3)

    def learn(self, batch: Tensor) -> float:
        """One update."""
        loss = self.net(batch).pow(2).mean() + sum(self.recent)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.recent.append(loss.item() / 10)
        if len(self.recent) == 2:
            self.net[1].eval()
            self.net[0].bias.requires_grad_(False)
        return float(loss.item())


def by_batches(make: Callable[[], Callable[[], Tensor]]) -> Training:
    """A model that holds its optimizer, trained on what the program itself pulls; other draws in between."""

    def run(said: Said) -> None:
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        agent, pull = Agent(), make()

        def training_step(_: int) -> None:
            said.append(f"{agent.learn(pull()).hex()} {torch.rand(1).item().hex()} {random.random().hex()}")

        outlined.fit(training_step, range(13))

    return run


def restarted() -> Callable[[], Tensor]:
    """`except StopIteration: it = iter(loader)` in the step's own code."""
    loader = loader_of()
    it = iter(loader)

    def pull() -> Tensor:
        nonlocal it
        try:
            return next(it)  # type: ignore[no-any-return]
        except StopIteration:
            it = iter(loader)
            return next(it)  # type: ignore[no-any-return]

    return pull


def of_feed() -> Callable[[], Tensor]:
    """An endless feed."""
    return Feed().pull


def of_iterator(make: Callable[[], Any]) -> Callable[[], Callable[[], Tensor]]:
    """`next(batches)`."""

    def made() -> Callable[[], Tensor]:
        batches = make()
        return lambda: next(batches)

    return made


class Environment:
    """What an agent acts in: attributes that its first `reset` makes, in the loop."""

    def reset(self) -> None:
        """Begin an episode."""
        self.state, self.time = torch.zeros(4, 3), 0

    def step(self) -> Tensor:
        """Go on."""
        self.time += 1
        self.state = 0.9 * self.state + torch.randn(4, 3) + self.time / 10
        return self.state


def of_environment() -> Callable[[], Tensor]:
    """Its episodes begin in the loop."""
    environment, done = Environment(), True

    def pull() -> Tensor:
        nonlocal done
        if done:
            environment.reset()
        batch = environment.step()
        done = environment.time == 5
        return batch

    return pull


class Bar:
    """A progress bar: asks its iterable for a length, and whether it is a generator."""

    def __init__(self, iterable: Any) -> None:
        self.iterable = iterable
        self.total = len(iterable) if hasattr(iterable, "__len__") else None

    def __iter__(self) -> Iterator[Any]:
        assert isinstance(self.iterable, types.GeneratorType)
        assert (len(self.iterable) if hasattr(self.iterable, "__len__") else None) == self.total
        yield from self.iterable


def of_bar() -> Callable[[], Tensor]:
    """A bar that the loop holds, and what it iterates over."""
    bar = Bar(cycle(loader_of()))
    batches = iter(bar)
    return lambda: next(batches) + (0 if bar.total is None else 1)


class Average:
    """One that cannot be told before it has seen something."""

    def __init__(self) -> None:
        self.recent: deque[float] = deque(maxlen=3)
        self.count = 0

    def update(self, value: float) -> None:
        """Add a value."""
        self.recent.append(value)
        self.count += 1

    def __str__(self) -> str:
        return f"{sum(self.recent) / len(self.recent):.17g} of {self.count}"


class Averages:
    """Meters made when they are first needed, told by the generator that the loop iterates over."""

    def __init__(self) -> None:
        self.meters: defaultdict[str, Average] = defaultdict(Average)

    def told(self, items: Any) -> Iterator[Any]:
        """The items; what the meters say after every third."""
        for index, item in enumerate(items, 1):
            yield item
            if index % 3 == 0:
                self.said.append(" ".join(f"{name} {meter}" for name, meter in self.meters.items()))


def by_meters(said: Said) -> None:
    """`for index, batch in enumerate(meters.told(loader))`, a learning rate of numpy's."""
    torch.manual_seed(0)
    agent, meters = Agent(), Averages()
    meters.said = said  # type: ignore[attr-defined]
    meters.meters["rate"] = Average()

    def training_step(item: tuple[int, Tensor]) -> None:
        index, batch = item
        agent.optimizer.param_groups[0]["lr"] = np.float64(0.1) / (index + 1)
        meters.meters["loss"].update(agent.learn(batch))
        meters.meters["rate"].update(agent.optimizer.param_groups[0]["lr"])

    outlined.fit(training_step, enumerate(meters.told(torch.randn(13, 4, 3))))
    said += [str(meters.meters["loss"]), str(meters.meters["rate"]), *map(str, agent.parameters())]


TRAININGS = {
    "meters that the loop's own generator tells": by_meters,
    "an environment that the loop resets": by_batches(of_environment),
    "a progress bar": by_batches(of_bar),
    "generators of its own": by_batches(of_feed),
    "an iterator made again at the end": by_batches(restarted),
    "an iterator class that restarts": by_batches(of_iterator(lambda: Restarting(loader_of()))),
    "an endless generator over a loader": by_batches(of_iterator(lambda: cycle(loader_of()))),
    "a loader's iterator with worker processes": by_batches(of_iterator(lambda: cycle(loader_of(workers=1)))),
    "itertools over generators": by_batches(
        of_iterator(lambda: itertools.islice(itertools.cycle(torch.randn(2, 3) for _ in range(3)), 100))
    ),
}


@pytest.mark.parametrize("at", [1, 3, 6])
@pytest.mark.parametrize("name", TRAININGS)
def test_what_a_loop_draws_from_goes_on_where_it_was(checkpoint: Any, name: str, at: int) -> None:
    """The same numbers follow, none of them twice."""

    def run() -> Said:
        said: Said = []
        TRAININGS[name](said)
        return said

    whole = checkpoint.written_at(at, run)
    # What was said before the checkpoint is carried, too: a list of the program's like any other.
    assert checkpoint.resumed(run) == whole
    assert len(whole) in (8, 10, 13)
    torch.load(checkpoint.file, weights_only=True)
