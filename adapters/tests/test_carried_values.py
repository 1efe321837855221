"""Whatever kind of value a factor of the loss is computed from: a resumed training finds it again."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import itertools
import multiprocessing
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lab_adapters import outlined
from six_steps import Factor, resumes, trained

Pair = collections.namedtuple("Pair", ["count", "tensor"])


class Options(dict[str, Any]):
    """The usual dictionary with attributes."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__  # type: ignore[assignment]


class Rows(list[float]):
    """A list with an attribute."""

    seen = 0


class Phase(enum.Enum):
    """Of a training."""

    WARM = 1
    FULL = 2


@dataclasses.dataclass(slots=True)
class Slotted:
    """A count in a slot."""

    count: int = 0


@dataclasses.dataclass(frozen=True)
class Frozen:
    """A count that is replaced."""

    count: int = 0


def changing(first: Any, change: Callable[[Any], Any], number: Callable[[Any], float]) -> Factor:
    """A name that each step binds to another value."""
    value = first

    def factor() -> float:
        nonlocal value
        value = change(value)
        return 1 + number(value) / 10

    return factor


def filled(value: Any, fill: Callable[[Any], object], number: Callable[[Any], float]) -> Factor:
    """One object that each step changes."""

    def factor() -> float:
        fill(value)
        return 1 + number(value) / 10

    return factor


def put(key: Any, more: float = 1) -> Callable[[Any], None]:
    """Adds to an entry."""

    def fill(value: Any) -> None:
        value[key] += more

    return fill


def attribute(name: str) -> Callable[[Any], None]:
    """Adds to an attribute."""
    return lambda value: setattr(value, name, getattr(value, name) + 1)


DAY = datetime.timedelta(days=1)
VALUES: dict[str, Callable[[], Factor]] = {
    "a complex number": lambda: changing(1j, lambda v: v + 1, lambda v: v.real),
    "a fraction": lambda: changing(fractions.Fraction(1, 3), lambda v: v + 1, float),
    "a decimal": lambda: changing(decimal.Decimal("0.1"), lambda v: v + 1, float),
    "a path": lambda: changing(Path("a"), lambda v: v / "b", lambda v: len(v.parts)),
    "a date": lambda: changing(datetime.date(2020, 1, 1), lambda v: v + DAY, lambda v: v.day),
    "a time span": lambda: changing(DAY, lambda v: v + DAY, lambda v: v.days),
    "a range": lambda: changing(range(1), lambda v: range(v.stop + 1), len),
    "a frozenset": lambda: changing(frozenset(), lambda v: v | {len(v)}, len),
    "a named tuple": lambda: changing(
        Pair(0, torch.zeros(())), lambda v: Pair(v.count + 1, v.tensor + 1), lambda v: v.count + v.tensor.item()
    ),
    "a frozen object": lambda: changing(Frozen(), lambda v: Frozen(v.count + 1), lambda v: v.count),
    "a size": lambda: changing(torch.Size([1]), lambda v: torch.Size([*v, 1]), len),
    "a member of an enumeration": lambda: changing(
        Phase.WARM, lambda v: Phase.FULL, lambda v: {Phase.WARM: 1.0, Phase.FULL: 5.0}[v]
    ),
    "a dictionary of such members": lambda: filled({Phase.WARM: 0.0}, put(Phase.WARM), lambda v: v[Phase.WARM]),
    "a counter": lambda: filled(collections.Counter(), lambda v: v.update("a"), lambda v: v["a"]),
    "an ordered dictionary": lambda: filled(
        collections.OrderedDict(a=1.0, b=2.0), lambda v: v.move_to_end(next(iter(v))), lambda v: v[next(iter(v))]
    ),
    "a dictionary with attributes": lambda: filled(Options(count=0), attribute("count"), lambda v: v.count),
    "a list of one's own": lambda: filled(Rows([0.0]), put(0), lambda v: v[0]),
    "an attribute of a list": lambda: filled(Rows([0.0]), attribute("seen"), lambda v: v.seen),
    "a slot": lambda: filled(Slotted(), attribute("count"), lambda v: v.count),
    "an array of bytes": lambda: filled(bytearray(1), put(0), lambda v: v[0]),
    "an array of Python's": lambda: filled(array.array("d", [0.0]), put(0), lambda v: v[0]),
    "a number that processes share": lambda: filled(
        multiprocessing.Value("i", 0), attribute("value"), lambda v: v.value
    ),
    "an array that processes share": lambda: filled(multiprocessing.Array("d", 3), put(1), lambda v: v[1]),
    "a new number that processes share": lambda: changing(
        multiprocessing.Value("q", 0), lambda v: multiprocessing.Value("q", v.value + 1), lambda v: v.value
    ),
    "an array of objects": lambda: filled(np.array([None, 0], dtype=object), put(1), lambda v: v[1]),
    "a namespace": lambda: filled(types.SimpleNamespace(count=0), attribute("count"), lambda v: v.count),
    "iterators in a list": lambda: iterators(),
    "what a partial function is given": lambda: functools.partial(_counted, {"count": 0}),
    "one of several objects": lambda: changing_choice(),
    "one of several lists": lambda: changing_list(),
    "functions and classes in a registry": lambda: registered(),
    "one of several functions": lambda: changing_function(),
    "more objects than fit on a page": lambda: filled(
        [types.SimpleNamespace(count=0) for _ in range(1200)],
        lambda v: [setattr(one, "count", one.count + 1) for one in v],
        lambda v: v[1199].count,
    ),
}


def _counted(state: dict[str, int]) -> float:
    state["count"] += 1
    return state["count"] / 10


def changing_choice() -> Factor:
    """The name goes on to the next of several objects of one class, whose values stay."""
    stages = [types.SimpleNamespace(rate=rate) for rate in (1.0, 2.0, 3.0)]
    stage, at = stages[0], 0

    def factor() -> float:
        nonlocal stage, at
        rate = float(stage.rate)
        at = (at + 1) % 3
        stage = stages[at]
        return rate

    return factor


def second_of_two() -> float:
    """Which a name may go on to."""
    return 2.0


def registered() -> Factor:
    """Functions that the training registers, by the names that a module has for them."""
    registry: dict[str, Any] = {"calls": 0}

    def factor() -> float:
        registry["calls"] += 1
        registry.setdefault("function", second_of_two)
        registry.setdefault("class", Slotted)
        return float(registry["function"]() + registry["class"](registry["calls"]).count)

    return factor


def changing_list() -> Factor:
    """The name goes on to the next of several lists; what it adds is in the list of all, too."""
    buffers: list[list[float]] = [[1.0], [2.0], [3.0]]
    buffer, at = buffers[0], 0

    def factor() -> float:
        nonlocal buffer, at
        buffer.append(len(buffer) / 3)
        at = (at + 1) % 3
        buffer = buffers[at]
        return sum(map(sum, buffers)) + buffers[1][-1]

    return factor


def iterators() -> Factor:
    """Made before the loop, one of them with items of its own."""
    all_of_them = [itertools.count(1), iter([0.5, 0.25, 0.75, 0.1, 0.2, 0.3])]
    return lambda: float(sum(map(next, all_of_them)))


def changing_function() -> Factor:
    """The name goes on to another function."""

    def first() -> float:
        return 1.0

    def second() -> float:
        return 2.0

    now, calls = first, 0

    def factor() -> float:
        nonlocal now, calls
        calls += 1
        value = now() + calls / 10
        now = second if calls % 2 else first
        return value

    return factor


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_this_kind_is_carried(checkpoint: Any, name: str) -> None:
    """Plain, in a form of its own, or filled in the program's own object."""
    resumes(checkpoint, lambda: trained(VALUES[name]()))


@pytest.mark.parametrize("at", [4, 5, 6, 8])
@pytest.mark.parametrize("name", VALUES)
def test_an_epoch_that_begins_with_such_a_value_begins_as_it_began(checkpoint: Any, name: str, at: int) -> None:
    """The code before the batches runs once more, on what it found then."""

    def run() -> list[str]:
        torch.manual_seed(0)
        factor, model, said = VALUES[name](), torch.nn.Linear(2, 3), []
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

        # Tensors are kept for an epoch's beginning only where it is marked.
        @(outlined.reads_models if name == "a named tuple" else lambda body: body)
        def epoch_loop(epoch: int) -> Iterator[Any]:
            weight = factor()

            def training_step(x: Tensor) -> None:
                optimizer.zero_grad()
                loss = model(x).square().mean() * weight
                loss.backward()
                optimizer.step()
                said.append(loss.item().hex())

            yield from outlined.steps(training_step, torch.randn(3, 4, 2))

        outlined.fit(epoch_loop, range(4))
        return said

    whole = checkpoint.written_at(at, run)
    assert checkpoint.resumed(run) == whole
