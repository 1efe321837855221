"""Objects of a program's: put back by what they hold, or said where no checkpoint holds them."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from six_steps import Factor, resumes, trained

Pair = collections.namedtuple("Pair", ["count", "tensor"])


@dataclasses.dataclass(slots=True)
class Slotted:
    """A count in a slot."""

    count: int = 0


class Metric:
    """Refuses a state that is longer than its own (as those of ignite do)."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"seen": list(self.seen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises where the sizes differ."""
        for at, value in enumerate(state["seen"]):
            self.seen[at] = value


def test_what_refuses_its_own_state_is_put_back_by_its_attributes(checkpoint: Any) -> None:
    """A metric of an epoch, in the middle of which the run goes on."""

    def run() -> list[str]:
        metric = Metric()

        def factor() -> float:
            metric.seen.append(len(metric.seen) / 2)
            return 1 + sum(metric.seen)

        return trained(factor)

    resumes(checkpoint, run)


class Hub:
    """Its state holds objects of the program's own, which no checkpoint does (as mmengine's message hub)."""

    def __init__(self) -> None:
        self.seen = {"loss": Slotted()}

    def state_dict(self) -> dict[str, Any]:
        """The objects themselves."""
        return dict(self.seen)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The same."""
        self.seen = state


def test_what_saves_objects_is_put_back_by_its_attributes(checkpoint: Any) -> None:
    """The file holds nothing but plain values and tensors."""

    def run() -> list[str]:
        hub = Hub()

        def factor() -> float:
            hub.seen["loss"].count += 1
            return 1 + hub.seen["loss"].count / 3

        return trained(factor)

    resumes(checkpoint, run)
    torch.load(checkpoint.file, weights_only=True)


@dataclasses.dataclass
class Stay:
    """An entry of a memory, which the training makes."""

    state: Tensor
    reward: float
    next: Stay | None = None


class Memory(collections.deque[Any]):
    """A memory with an attribute."""

    pushed = 0

    def push(self, entry: Any) -> None:
        """Add it."""
        self.append(entry)
        self.pushed += 1


def of_memory(kind: Callable[[Tensor, float], Any]) -> Factor:
    """Objects that the training makes, in a list of its own making; the newest by a name of its own, too."""
    memory, newest = Memory(maxlen=4), None

    def factor() -> float:
        nonlocal newest
        entry = kind(torch.full((2,), float(memory.pushed)), memory.pushed / 3)
        if isinstance(entry, Stay):
            entry.next = newest
        memory.push(entry)
        newest = entry
        assert newest is memory[-1]
        rewards = sum(one.reward if isinstance(one, Stay) else one.count for one in memory)
        return 1 + rewards + memory.pushed / 10 + memory.maxlen

    return factor


def other_class() -> Factor:
    """An object in place of one of another class."""

    class One:
        rate = 1.0

    class Other:
        def __init__(self, rate: float) -> None:
            self.rate = rate

    now: Any = One()

    def factor() -> float:
        nonlocal now
        before = float(now.rate)
        now = Other(before + 1)
        return before

    return factor


MADE = {
    "named tuples": lambda: of_memory(lambda state, reward: Pair(reward, state)),
    "objects": lambda: of_memory(Stay),
    "one of another class": other_class,
}


@pytest.mark.parametrize("name", MADE)
def test_objects_that_the_training_makes_are_carried(checkpoint: Any, name: str) -> None:
    """By their attributes, which may be objects, too; two names of one stay one."""
    resumes(checkpoint, lambda: trained(MADE[name]()))


def test_a_layer_of_a_library_in_place_of_another_goes_on(checkpoint: Any) -> None:
    """It is made of its parts."""

    def run() -> list[str]:
        activation: torch.nn.Module = torch.nn.ReLU()

        def factor() -> float:
            nonlocal activation
            before, activation = activation, torch.nn.Tanh()
            return 1 + before(torch.tensor(0.5)).item()

        return trained(factor)

    resumes(checkpoint, run)


def test_an_iterator_that_nothing_can_stand_for_is_said(checkpoint: Any) -> None:
    """It lies in a tuple, where no other can be put."""

    def run() -> list[str]:
        return trained(functools.partial(next, itertools.count(1)))  # type: ignore[arg-type]

    checkpoint.written_at(3, run)
    with pytest.warns(UserWarning, match=r"resume: factor\.args: its 1 entries \(count\) are not kept"):
        checkpoint.resumed(run)


def test_where_the_search_ends_is_said(checkpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of too many objects to look at."""
    monkeypatch.setattr("lab_adapters.outlined.slots.MOST", 20)
    objects = [types.SimpleNamespace(count=0) for _ in range(100)]

    def run() -> list[str]:
        return trained(lambda: 1.0 + len(objects))

    checkpoint.written_at(3, run)
    with pytest.warns(UserWarning, match=r"leads to more than \d+ objects, which were searched up to .*objects"):
        checkpoint.resumed(run)
