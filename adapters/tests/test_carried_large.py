"""Large containers and arrays are kept in a checkpoint; what cannot be is said when a run goes on without it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lab_adapters import outlined


def test_large_containers_and_arrays_are_kept(checkpoint: Any) -> None:
    """A long history of floats, of integers, of pairs; a memory of tensors; a large array, dict and set."""

    def run() -> list[str]:
        torch.manual_seed(0)
        floats, counts, pairs = [0.5] * 12_000, deque([1] * 12_000), [(1, 0.5)] * 12_000
        memory: deque[Tensor] = deque((torch.zeros(2) for _ in range(1200)), maxlen=1202)
        table, known, array = dict.fromkeys(range(12000), 1.0), set(range(12_000)), np.zeros(20_000)
        said = []

        def training_step(index: int) -> None:
            value = torch.rand(2)
            floats.append(value[0].item())
            counts.append(index)
            pairs.append((index, value[1].item()))
            memory.append(value)
            table[index] = value[0].item()
            known.discard(index)
            array[index * 4000] = value[1].item()
            large = [floats[-3:], list(counts)[-3:], pairs[-3:], [m.tolist() for m in list(memory)[-3:]]]
            sizes = [len(floats), len(memory), memory.maxlen, len(known), type(counts).__name__]
            said.append(f"{large} {sum(table.values())} {array.sum()} {sizes}")

        outlined.fit(training_step, range(5))
        return said

    whole = checkpoint.written_at(3, run)
    assert checkpoint.resumed(run) == whole
    torch.load(checkpoint.file, weights_only=True)


def test_a_container_of_more_bytes_than_a_checkpoint_should_have_is_said(
    checkpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data set that is read into memory, say, as it goes."""
    monkeypatch.setattr("lab_adapters.outlined.packing.MANY", 100)
    monkeypatch.setattr("lab_adapters.outlined.packing.MOST_BYTES", 100)

    def run() -> None:
        cache = dict.fromkeys(range(-126, 0), torch.zeros(1))
        outlined.fit(lambda index: cache.__setitem__(index, torch.rand(2)), range(3))

    checkpoint.written_at(2, run)
    with pytest.warns(UserWarning, match=r"cache: its 128 entries \(Tensor, int\) are not kept"):
        checkpoint.resumed(run)


def test_a_large_container_that_does_not_change_is_not_kept(checkpoint: Any) -> None:
    """The entries of a data set: neither in the checkpoint nor warned of."""
    samples = [(f"{n}.png", n) for n in range(12_000)]

    def run() -> None:
        seen = [0]

        def training_step(index: int) -> None:
            seen[0] += samples[index][1]

        outlined.fit(training_step, range(3))

    checkpoint.written_at(2, run)
    assert set(torch.load(checkpoint.file)["outlined"]["carried"]) == {"seen"}


def test_a_container_that_cannot_be_kept_is_said(checkpoint: Any) -> None:
    """A memory of objects; one that each iteration makes anew carries nothing."""

    def run() -> None:
        memory, latest = [object()] * 100, None

        def training_step(index: int) -> None:
            nonlocal latest
            memory.append(object())
            latest = [object()]

        outlined.fit(training_step, range(3))

    checkpoint.written_at(2, run)
    with pytest.warns(UserWarning, match=r"resume: memory: its 102 entries \(object\) are not kept") as said:
        checkpoint.resumed(run)
    assert not any("latest" in str(one.message) for one in said)


def test_a_beginning_that_names_what_is_too_large_to_be_held_is_said(checkpoint: Any) -> None:
    """Unmarked, a long history is held for no epoch's beginning; what only the batches name is nothing to say."""

    def run() -> None:
        history, other, total = [0.5] * 1200, [0.5] * 1200, 0.0

        def epoch_loop(epoch: int) -> Iterator[Any]:
            first = history[-1]

            def training_step(index: int) -> None:
                nonlocal total
                total += first
                history.append(total)
                other.append(total)

            yield from outlined.steps(training_step, range(3))

        outlined.fit(epoch_loop, range(3))

    checkpoint.written_at(5, run)
    with pytest.warns(UserWarning, match="the beginning of epoch_loop names history, which is too large") as said:
        checkpoint.resumed(run)
    assert not any("other" in str(one.message) for one in said)


_RATES = """
import torch
from lab_adapters import outlined
torch.manual_seed(0)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
def training_step(index):
    optimizer.zero_grad()
    model(torch.rand(4, 2)).sum().backward()
    optimizer.step()
    said.append(f"{model.weight.tolist()} {group['lr']}")
def epoch_loop(epoch):
    global group
    for group in optimizer.param_groups:
        group["lr"] = 0.1 / (epoch + 1)
    yield from outlined.steps(training_step, range(3))
outlined.fit(epoch_loop, range(3))
"""


def test_a_group_of_the_optimizer_in_a_global_name_is_nothing_to_say(checkpoint: Any) -> None:
    """A script's `for group in optimizer.param_groups:` binds the name anew, and what looks at it is not the program.

    Warnings are errors here.
    """

    def run() -> list[str]:
        said: list[str] = []
        exec(_RATES, {"said": said})
        return said

    assert checkpoint.written_at(5, run) == checkpoint.resumed(run)


_LATE = """
from lab_adapters import outlined
def epoch_loop(epoch):
    global memory
    yield from outlined.steps(lambda index: None, range(2))
    memory = [Entry()] * 100
    yield from outlined.steps(lambda index: memory.append(Entry()), range(3))
outlined.fit(epoch_loop, range(2))
"""


def test_a_container_that_is_not_there_yet_where_the_run_goes_on(checkpoint: Any) -> None:
    """Made between two loops, and not kept: the resumed run makes it, and is told."""

    def run() -> None:
        exec(_LATE, {"Entry": object})

    checkpoint.written_at(4, run)
    with pytest.warns(UserWarning, match="resume: memory: its 102 entries"):
        checkpoint.resumed(run)
