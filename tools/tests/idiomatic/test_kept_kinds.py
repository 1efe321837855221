"""Objects of kinds that no checkpoint holds, and functions that keep something: that they begin anew is said."""

from __future__ import annotations

import pytest
from idiomatic_programs import program, rewritten

PROGRAM = """\
import contextlib
import functools
import queue
import threading


class Listed(list):
    pass


class Named(dict):
    def put(self, name):
        self[name] = self.get(name, 1.0) * 0.9


class Behind:
    def __get__(self, of, kind):
        return getattr(of, "_kept", 1.0)

    def __set__(self, of, value):
        of._kept = value


class Held:
    value = Behind()

    @functools.cached_property
    def drawn(self):
        return torch.randn(1)


class Cell:
    n = 1.0


@functools.lru_cache
def table(n):
    return noise(n)


def noise(n):
    return torch.randn(n)


def seen_so_far(value, seen=[]):
    seen.append(value)
    return len(seen)


class Drawn(torch.utils.data.Dataset):
    def __init__(self):
        self.kept = {{}}

    def __len__(self):
        return 20

    def __getitem__(self, index):
        if index not in self.kept:
            self.kept[index] = data[index][0] + noise(4)
        return self.kept[index], data[index][1]


local = threading.local()
local.n = 1.0


def main():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader({data}, batch_size=5, shuffle=True)
    {made}
    for epoch in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y) * ({read})
            loss.backward()
            optimizer.step()
        {line}
        print(loss.item())


main()
"""
SAID = {
    "listed = Listed([1.0]) / listed.append(1.0)": ("len(listed)", "listed ("),
    "named = Named(a=1.0) / named.put('a')": ("named['a']", "named ("),
    "held = Held() / held.value = held.value * 0.9": ("held.value", "held ("),
    "held = Held() / print(held.drawn)": ("1.0", "held ("),
    "waiting = queue.Queue() / waiting.put(1)": ("1 + waiting.qsize()", "waiting ("),
    "read = bytearray(2) / read.append(1)": ("len(read)", "read ("),
    "cell = Cell() / object.__setattr__(cell, 'n', cell.n * 0.9)": ("cell.n", "cell ("),
    "cell = Cell() / cell.__setattr__('n', cell.n * 0.9)": ("cell.n", "cell ("),
    "one, stack = [1.0], contextlib.ExitStack() / stack.callback(one.append, 1); stack.close()": ("len(one)", "one ("),
    "w = torch.ones(1) / w = table(1)": ("w.sum()", "table()"),
    "n = 1 / n = seen_so_far(1)": ("n", "seen of seen_so_far()"),
    "pass / local.n *= 0.9": ("local.n", "local.n ("),
}  # fmt: skip


def said_of(made: str, line: str, read: str, dataset: str = "data") -> str:
    """What is said of Lightning's checkpoints."""
    after = rewritten(program(PROGRAM.format(made=made, line=line, read=read, data=dataset)))
    (said,) = [message for message in after.messages if "own checkpoints" in message]
    return said


@pytest.mark.parametrize("case", SAID)
def test_it_is_said(case: str) -> None:
    """It began anew in silence."""
    made, _, line = case.partition(" / ")
    read, name = SAID[case]
    assert name in said_of(made, line, read)


def test_what_a_data_set_draws_once_is_said() -> None:
    """A cache of images is the same when it is filled again; noise is not."""
    assert "Drawn.kept" in said_of("pass", "pass", "1.0", "Drawn()")


def test_what_a_data_set_draws_with_is_no_state_of_its_own() -> None:
    """`np.sort(…)` was said to change `np`."""
    text = PROGRAM.replace(
        "            self.kept[index] =", "            np.sort([2, 1])\n            self.kept[index] ="
    )
    text = f"import numpy as np\n{text}".format(made="pass", line="pass", read="1.0", data="Drawn()")
    (said,) = [message for message in rewritten(program(text)).messages if "own checkpoints" in message]
    assert "Drawn.kept" in said
    assert "np (" not in said


def test_a_dictionary_of_settings_is_not() -> None:
    """Its class is built on a dictionary, and nothing changes it."""
    made = "named = Named(a=1.0)"
    after = rewritten(program(PROGRAM.format(made=made, line="pass", read="named['a']", data="data")))
    assert not any("own checkpoints" in message for message in after.messages), after.messages
