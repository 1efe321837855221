"""What goes on by itself between epochs is said, or goes on from a checkpoint: by how it was made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import WAYS, program, rewritten, training

GIVEN = """
import itertools
import random
from collections import Counter, OrderedDict
from types import SimpleNamespace

import numpy as np
from torch.utils.data import default_collate

CALLS = [0]


def numbers():
    while True:
        yield 1


def collate(items):
    CALLS[0] += 1
    return default_collate(items)


def rate_of(optimizer):
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))


class Counted(torch.utils.data.Dataset):
    def __init__(self, inner):
        self.inner, self.reads, self.cache = inner, 0, {}

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, i):
        self.reads += 1
        self.cache[i] = self.inner[i]
        return self.cache[i]


class Meter:
    seen = 0

    def __init__(self):
        self.n, self._v = 0, 0
        self.last = SimpleNamespace(n=0)

    def up(self):
        self.n += 1

    @property
    def value(self):
        return self._v

    @value.setter
    def value(self, more):
        self._v += more


def count():
    pass


count.n = 0
"""
SAID = {
    "a generator": ("extra = torch.Generator().manual_seed(1)", "print(torch.rand(1, generator=extra))", "extra (a"),
    "numpy's": ("extra = np.random.default_rng(1)", "print(extra.random())", "extra (a random generator"),
    "Python's": ("extra = random.Random(1)", "print(extra.random())", "extra (a random generator"),
    "an iterator": ("extra = itertools.count()", "print(next(extra))", "extra (an iterator"),
    "a generator function's": ("extra = numbers()", "print(next(extra))", "extra (an iterator"),
    "an array": ("extra = np.zeros(40)", "extra[epoch] = loss.item()", "extra (an assignment to its entries"),
    "a package's": ("extra = np.poly1d([1])", "extra.update(loss.item())", "extra (an object of numpy's"),
    "a class's": ("extra = 0", "Meter.seen += 1", "Meter.seen (the loop"),
    "a function's": ("extra = 0", "count.n += 1", "count.n (the loop"),
    "a namespace's": ("extra = SimpleNamespace(n=0)", "extra.n += 1", "extra.n (the loop"),
    "one that is made late": ("extra = None", "extra = extra or Meter(); extra.up()", "extra (what it is given"),
    "behind a property": ("extra = Meter()", "extra.value = loss.item()", "extra (what it keeps behind a property"),
    "objects in a list": ("extra = [Meter(), Meter()]", "for one in extra: one.up()", "extra (it may hold more"),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", SAID)
def test_what_goes_on_by_itself_is_said(what: str, way: str) -> None:
    """In a script, a function and an object."""
    made, inside, wanted = SAID[what]
    after = rewritten(training(way, made, inside, GIVEN))
    assert "LM301" in after.codes, after.messages
    (said,) = [message for message in after.messages if "do not hold" in message]
    assert (wanted if way != "class" else wanted.replace("extra", "self.extra")) in said


@pytest.mark.parametrize("way", ["script", "class"])
def test_what_a_data_set_and_a_collator_count_is_said(way: str) -> None:
    """A cache is no count."""
    after = rewritten(training(way, given=GIVEN, data="Counted(data), collate_fn=collate"))
    (said,) = [message for message in after.messages if "do not hold" in message]
    assert "Counted.reads (Counted.__getitem__() counts it" in said
    assert "CALLS (collate() counts it" in said
    assert "cache" not in said


KEPT = {
    "a tensor": ("extra = torch.zeros(2)", "extra.mul_(0.9).add_(model(x).detach().mean(0)); print(extra)"),
    "its entries": ("extra = torch.zeros(40).float()", "extra[epoch] += loss.detach(); print(extra.sum())"),
    "a Counter": ("extra = Counter()", "extra.update([int(y[0])]); print(sorted(extra.items()))"),
    "an OrderedDict": ("extra = OrderedDict()", "extra[epoch] = loss.item(); print(extra)"),
    "a schedule that a function makes": ("extra = rate_of(optimizer)", "extra.step()"),
}


@pytest.mark.sampled
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", KEPT)
def test_what_a_checkpoint_can_hold_goes_on(what: str, way: str, resumes: Callable[..., None]) -> None:
    """Also a tensor that changes in its place."""
    after = rewritten(training(way, *KEPT[what], GIVEN))
    assert "LM301" in after.codes, after.messages
    assert not [message for message in after.messages if "do not hold" in message], after.messages
    resumes(after.text)


def test_what_each_epoch_makes_anew_is_not_said() -> None:
    """A generator, a tensor and an iterator of the epoch's own."""
    inside = "total += loss.detach(); bank[0] = 1; print(torch.rand(1, generator=draws), next(ids))"
    text = training("function", inside=inside, given=GIVEN)
    head = "for epoch in range(3):\n"
    new = "total, bank = torch.zeros(()), torch.zeros(3)\n        draws, ids = torch.Generator(), iter(range(99))\n"
    after = rewritten(text.replace(head, f"{head}        {new}"))
    assert "LM301" in after.codes, after.messages
    assert not [message for message in after.messages if "do not hold" in message], after.messages


def test_what_the_trainers_epoch_makes_anew_is_not_said() -> None:
    """An iterator that its `train_epoch` keeps as an attribute: that method moves, and each epoch runs it."""
    after = rewritten(
        program("""
    class Trainer:
        def __init__(self):
            self.model = Net()
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
            self.loader = DataLoader(data, batch_size=6, shuffle=True)

        def train_epoch(self):
            self.ids = iter(range(99))
            for x, y in self.loader:
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                print(next(self.ids))

        def fit(self):
            for epoch in range(3):
                self.train_epoch()


    Trainer().fit()
    """)
    )
    assert "LM301" in after.codes, after.messages
    assert not [message for message in after.messages if "do not hold" in message], after.messages
