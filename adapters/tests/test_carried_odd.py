"""Odd places and values of programs that carry state: carried, or said; and none of it is changed by the search."""

from __future__ import annotations

import collections
import copy
import itertools
import math
import random
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from six_steps import resumes, trained


class Stat:
    """A count."""

    def __init__(self) -> None:
        self.n = 0

    def more(self) -> float:
        """One more."""
        self.n += 1
        return 1 + self.n / 10


class Whole(int):
    """A number of the program's own."""


class Hidden:
    """A slot whose name is the class's own."""

    __slots__ = ("__n",)

    def __init__(self) -> None:
        self.__n = 0

    def more(self) -> float:
        """One more."""
        self.__n += 1
        return 1 + self.__n / 10


def through_data() -> Callable[[], float]:
    """The usual average: `.data` counts no version."""
    shadow = {"weight": torch.zeros(3)}

    def factor() -> float:
        for value in shadow.values():
            value.data.mul_(0.5).add_(1)
        return 1 + shadow["weight"].sum().item()

    return factor


def through_numpy() -> Callable[[], float]:
    """An array that lies where a tensor lies."""
    tensor = torch.zeros(2)
    array = tensor.numpy()

    def factor() -> float:
        array[0] += 1
        return 1 + tensor.sum().item()

    return factor


def of(container: Any, find: Callable[[Any], Any]) -> Callable[[], float]:
    """An object in a container of the program's."""
    return lambda: float(find(container).more())


def drawing(draw: Callable[[], float]) -> Callable[[], float]:
    """The method of a generator that nothing else names."""
    return lambda: 1 + draw()


def of_array(array: np.ndarray[Any, Any], at: Any) -> Callable[[], float]:
    """An array that is filled in place."""

    def factor() -> float:
        array[at] = array[at] + 1
        return 1 + float(abs(array[at]))

    return factor


def deleting() -> Callable[[], float]:
    """An attribute that the training deletes."""
    settings, calls = types.SimpleNamespace(warm=True), 0

    def factor() -> float:
        nonlocal calls
        calls += 1
        if calls == 2:
            del settings.warm
        return 1 + 3 * hasattr(settings, "warm") + calls / 10

    return factor


def of_a_class() -> Callable[[], float]:
    """A number of a class of its own."""
    value = Whole(0)

    def factor() -> float:
        nonlocal value
        value = Whole(value + 1)
        return 1.0 + value

    return factor


def nested() -> Callable[[], float]:
    """A dictionary that fills itself, made by the training."""
    table: dict[str, Any] = {}

    def factor() -> float:
        table.setdefault("counts", collections.defaultdict(int))[len(table["counts"])] += 1
        table.setdefault("order", collections.OrderedDict(a=1, b=2)).move_to_end("a")
        return 1.0 + len(table["counts"]) + table["counts"]["none"]

    return factor


def looped() -> Callable[[], float]:
    """A tree of dictionaries whose nodes know their parents."""
    root: dict[str, Any] = {"n": 0, "children": []}
    root["children"] = [{"n": at, "parent": root, "children": []} for at in range(12)]
    for child in root["children"]:
        child["others"] = root["children"]
    state = Stat()
    return lambda: state.more() + len(root["children"])


def a_module_that_an_object_holds() -> Callable[[], float]:
    """As a backend that is made when it is first asked for: the object is made again, and what it holds is imported."""
    made: dict[str, Stat] = {}

    def factor() -> float:
        if "one" not in made:
            made["one"] = Stat()
            made["one"].library = math  # type: ignore[attr-defined]
        return float(made["one"].library.sqrt(made["one"].more()))  # type: ignore[attr-defined]

    return factor


PROGRAMS: dict[str, Callable[[], Callable[[], float]]] = {
    "a module that an object holds": a_module_that_an_object_holds,
    "a tensor that is changed through .data": through_data,
    "a tensor that is changed through numpy": through_numpy,
    "an object in a set": lambda: of({Stat()}, lambda held: next(iter(held))),
    "an object as a key": lambda: of({Stat(): 1}, lambda held: next(iter(held))),
    "an object in an array": lambda: of(np.array([Stat()], dtype=object), lambda held: held[0]),
    "an object in a long list": lambda: of([None, *[Stat() for _ in range(1200)]], lambda held: held[7]),
    "a method of numpy's generator": lambda: drawing(np.random.default_rng(0).random),
    "a method of Python's generator": lambda: drawing(random.Random(0).random),
    "a complex array": lambda: of_array(np.zeros(2, dtype=complex), 0),
    "an array of another byte order": lambda: of_array(np.zeros(2, dtype=">f4"), 0),
    "a large array of objects": lambda: of_array(np.zeros(1500, dtype=object), 3),
    "a slot of its class's own": lambda: Hidden().more,
    "an attribute that is deleted": deleting,
    "a number of a class": of_a_class,
    "dictionaries that fill themselves": nested,
    "a dictionary of the library's": lambda: of(collections.UserDict(a=Stat()), lambda held: held["a"]),
    "containers that hold each other": looped,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_carried(checkpoint: Any, name: str) -> None:
    """Bitwise as the whole run, from a file without pickled code."""

    resumes(checkpoint, lambda: trained(PROGRAMS[name]()))
    torch.load(checkpoint.file, weights_only=True)


def test_a_generator_that_was_sent_values_is_refused(checkpoint: Any) -> None:
    """What it was given is not known."""

    def run() -> list[str]:
        def summing() -> Iterator[float]:
            total = 1.0
            while True:
                total += yield total  # type: ignore[misc]

        made: Any = summing()
        next(made)
        return trained(lambda: float(made.send(2.0)))

    checkpoint.written_at(3, run)
    with pytest.raises(ValueError, match="expected an iterator that can be passed over"):
        checkpoint.resumed(run)


def test_iterators_are_copied_and_shown_as_without_us() -> None:
    """The training itself goes on as ever."""
    items = iter([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    count = itertools.count(1)

    def factor() -> float:
        following = next(copy.copy(items))
        return next(items) + following + next(count) + int(repr(count)[6:-1])

    def plain() -> Iterator[float]:
        for at in range(1, 7):
            yield at + at + at + at + 1

    seen = []
    trained(lambda: seen.append(value := factor()) or value)  # type: ignore[func-returns-value]
    assert seen == list(plain())


def test_looking_asks_no_lazy_module_and_no_slot() -> None:
    """Nothing of the program's runs that would not have run."""
    asked = []

    class Lazy(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            raise ModuleNotFoundError(name)

    class Unset:
        __slots__ = ("a", "b")

        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            raise AttributeError(name)

    class Listed(dict[str, int]):
        def items(self) -> Any:
            asked.append("items")
            return super().items()

    lazy, unset, listed = Lazy("lazy"), Unset(), Listed(a=1)
    trained(lambda: 1.0 + (lazy is None) + (unset is None) + (listed is None))
    assert asked == []


def test_a_map_of_a_file_is_read_by_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data of a training may be larger than the memory."""
    data = np.memmap(tmp_path / "train.bin", dtype=np.uint16, mode="w+", shape=(100,))
    monkeypatch.setattr(np.memmap, "tobytes", lambda self: pytest.fail("read"))
    trained(lambda: 1.0 + len(data))


def test_inference_tensors_and_the_systems_generator_are_no_crash(checkpoint: Any) -> None:
    """Neither has what others have."""
    with torch.inference_mode():
        kept = torch.ones(1)
    system = random.SystemRandom()

    def run() -> list[str]:
        return trained(lambda: 1.0 + kept.item() + 0 * system.random())

    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run) == whole
