"""Kinds of values that a training changes and a resumed one goes on with: Python's iterators, files, generators."""

from __future__ import annotations

import collections
import copy
import csv
import enum
import functools
import io
import itertools
import operator
import re
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from six_steps import resumes, trained

Factor = Callable[[], float]


class Squares:
    """Entries that are asked for one by one."""

    def __getitem__(self, at: int) -> int:
        """The square."""
        return at * at


class Access(enum.Flag):
    """Flags that go together."""

    READ = 1
    WRITE = 2
    RUN = 4


def scaled(value: float, by: float = 1.0) -> float:
    """What a schedule is made of."""
    return 1 + value * by


def of_iterator(make: Callable[[], Iterator[Any]], number: Callable[[Any], float] = float) -> Callable[[Path], Factor]:
    """A number in each item."""

    def factor_of(folder: Path) -> Factor:
        items = make()
        return lambda: 1 + number(next(items)) / 10

    return factor_of


def of_generator(make: Callable[[int], Any], draw: Callable[[Any], Any]) -> Callable[[Path], Factor]:
    """A generator of numpy's, drawn from in another way than by its methods alone."""

    def factor_of(folder: Path) -> Factor:
        generator = make(3)
        return lambda: 1 + float(draw(generator)) % 1000 / 1000

    return factor_of


def flags(folder: Path) -> Factor:
    """Several at once have no name."""
    access, count = Access.READ, 0

    def factor() -> float:
        nonlocal access, count
        count += 1
        access |= Access.WRITE if count == 2 else Access.RUN
        return 1 + access.value + count / 10

    return factor


def partials(folder: Path) -> Factor:
    """A function with other arguments at each step."""
    chosen = functools.partial(scaled, 1.0)

    def factor() -> float:
        nonlocal chosen
        chosen = functools.partial(scaled, chosen(), by=0.5 + chosen() / 10)
        return chosen()

    return factor


def in_memory(file: Any, text: Any) -> Callable[[Path], Factor]:
    """A log that grows."""

    def factor_of(folder: Path) -> Factor:
        log = type(file)(file.getvalue())

        def factor() -> float:
            log.seek(0, io.SEEK_END)
            log.write(text)
            return 1 + len(log.getvalue()) / 10

        return factor

    return factor_of


def lines(folder: Path) -> Factor:
    """A file that is read line by line."""
    (folder / "numbers.txt").write_text("".join(f"{at * at}\n" for at in range(9)))
    file = (folder / "numbers.txt").open()
    weakref.finalize(lines, file.close)
    return lambda: 1 + float(file.readline()) / 10


def blocks(folder: Path) -> Factor:
    """A file that is read byte by byte, as data in a format of its own is."""
    (folder / "numbers.bin").write_bytes(bytes(range(20)))
    file = (folder / "numbers.bin").open("rb")
    weakref.finalize(blocks, file.close)
    return lambda: 1 + sum(file.read(2)) / 10


def expanded(folder: Path) -> Factor:
    """A tensor in which all elements are one number."""
    base = torch.ones(1)
    view = base.expand(3)

    def factor() -> float:
        base.mul_(1.1)
        return float(view.sum())

    return factor


def holding_itself(folder: Path) -> Factor:
    """A dictionary that is one of its own entries."""
    state: dict[str, Any] = {"n": 0}
    state["me"] = state

    def factor() -> float:
        state["me"]["n"] += 1
        return 1 + float(state["n"]) / 10

    return factor


def resized(folder: Path) -> Factor:
    """A batch that is kept, and takes the shape of each that comes, as trainings of 2017 have it."""
    batch = torch.zeros(1, 2)
    known = [batch]
    sizes = itertools.cycle([2, 3, 1, 4])

    def factor() -> float:
        real = torch.full((next(sizes), 2), 0.5) + known[0].mean()
        batch.resize_as_(real).copy_(real)
        return 1 + float(known[0].sum())

    return factor


class Counted:
    """A descriptor of the program's, which keeps what it gives."""

    def __init__(self) -> None:
        self.count = 0

    def __get__(self, owner: Any, kind: type) -> float:
        self.count += 1
        return 1 + self.count / 10


def described(folder: Path) -> Factor:
    """What a descriptor counts."""

    class Owner:
        factor = Counted()

    owner = Owner()
    return lambda: owner.factor


@pytest.mark.parametrize(
    "factor_of",
    [
        of_iterator(lambda: reversed([1, 2, 3, 4, 5, 7, 9])),
        of_iterator(lambda: map(ord, iter("agdbxyz"))),
        of_iterator(lambda: iter(b"agdbxyz")),
        of_iterator(lambda: iter(collections.deque([1, 5, 3, 2, 7, 8]))),
        of_iterator(lambda: iter(Squares())),
        of_iterator(lambda: iter(collections.deque([1, 5, 3, 2, 7, 8, 9]).popleft, None)),
        of_iterator(lambda: re.finditer(r"\d", "182736"), lambda found: int(found.group())),
        of_iterator(lambda: csv.reader(list("153278")), lambda row: float(row[0])),
        of_iterator(lambda: np.ndenumerate(np.arange(9.0) ** 2), operator.itemgetter(1)),
        of_generator(np.random.PCG64, lambda bits: bits.random_raw()),
        of_generator(np.random.SeedSequence, lambda seeds: seeds.spawn(1)[0].generate_state(1)[0]),
        of_generator(np.random.default_rng, lambda drawn: drawn.spawn(1)[0].integers(1000)),
        flags, partials, in_memory(io.StringIO("a"), "bc"), in_memory(io.BytesIO(b"a"), b"bc"), lines, blocks, expanded,
        holding_itself, resized, described,
    ],
    ids=[
        "reversed", "text", "bytes", "deque", "entries", "sentinel", "matches", "csv", "ndenumerate", "bits", "seeds",
        "spawned", "flags", "partials", "text in memory", "bytes in memory", "lines", "blocks", "expanded",
        "holding itself", "resized", "described",
    ],
)  # fmt: skip
def test_goes_on_where_it_stood(checkpoint: Any, tmp_path: Path, factor_of: Callable[[Path], Factor]) -> None:
    """Without a word."""
    resumes(checkpoint, lambda: trained(factor_of(tmp_path)))


def test_a_place_that_a_file_does_not_tell_is_said(checkpoint: Any, tmp_path: Path) -> None:
    """`next` reads ahead in a text file, which knows no place then."""
    (tmp_path / "numbers.txt").write_text("".join(f"{at * at}\n" for at in range(9)))

    def run() -> list[str]:
        with (tmp_path / "numbers.txt").open() as file:
            return trained(lambda: 1 + float(next(file)) / 10)

    checkpoint.written_at(3, run)
    with pytest.warns(UserWarning, match="resume: factor.file: `next` reads its lines and tells no place"):
        checkpoint.resumed(run)


def lazily(make: Callable[[], Any], ask: Callable[[Any], float]) -> Factor:
    """An object that the first step makes."""
    made = None

    def factor() -> float:
        nonlocal made
        if made is None:
            made = make()
        return 1 + ask(made)

    return factor


def moving(norm: torch.nn.BatchNorm1d) -> float:
    """What it has averaged."""
    norm(torch.randn(4, 2))
    assert norm.running_mean is not None
    return float(norm.running_mean.abs().sum())


def test_what_a_functions_own_name_has_got_from_the_training_is_said(checkpoint: Any) -> None:
    """A layer that holds a function without a name, and that a closure makes when it is first asked for."""

    def normed() -> torch.nn.Module:
        made = torch.nn.BatchNorm1d(2)
        made.asks = lambda: 0  # type: ignore[assignment]
        return made

    def asked(layer: torch.nn.Module) -> float:
        layer.asked = getattr(layer, "asked", 0.0) + 1
        return float(layer.asked)

    checkpoint.written_at(3, lambda: trained(lazily(normed, asked)))
    with pytest.warns(UserWarning, match=r"resume: factor\.made\.[a-z_.0-9]+, .*: the checkpoint has a value"):
        checkpoint.resumed(lambda: trained(lazily(normed, asked)))


def test_a_layer_that_a_closure_has_made_goes_on(checkpoint: Any) -> None:
    """With what it has averaged."""
    resumes(checkpoint, lambda: trained(lazily(lambda: torch.nn.BatchNorm1d(2), moving)))


def test_a_dictionary_that_the_training_makes_keeps_its_attributes(checkpoint: Any) -> None:
    """Weights that were copied have torch's versions of their layers beside them."""

    def run() -> list[str]:
        layer, best = torch.nn.BatchNorm1d(2), None

        def factor() -> float:
            nonlocal best
            layer(torch.randn(4, 2))
            best = best or copy.deepcopy(layer.state_dict())
            assert len(best._metadata) == 1  # type: ignore[attr-defined]
            return 1 + sum(float(one.float().sum()) for one in best.values()) + moving(layer)

        return trained(factor)

    resumes(checkpoint, run)
