"""The loader never ends: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "endless_loader"
REFUSED = [
    (
        "a plain loop over a loader",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "a generator of chunks that ends",
        """\
def chunks(f):
    while True:
        x = f.read(1)
        if not x:
            break
        yield x
""",
    ),
    (
        "an ordinary number of samples",
        """\
s = RandomSampler(d, num_samples=100)
""",
    ),
]
SHOWN = [
    (
        "a generator that starts over",
        """\
def cycle_(dl):
    while True:  # !
        for x in dl:
            yield x
""",
    ),
    (
        "cycle",
        """\
import itertools
it = itertools.cycle(loader)  # !
""",
    ),
    (
        "a sampler without end",
        """\
s = RandomSampler(d, replacement=True, num_samples=int(1e10))  # !
""",
    ),
    (
        "an iterator started over when it ends",
        """\
try:
    x = next(it)
except StopIteration:  # !
    it = iter(loader)
""",
    ),
    (
        "one started over by a bare except",
        """\
try:
    x = it.next()
except:  # !
    it = iter(loader)
""",
    ),
]


@pytest.mark.parametrize(("fact", "source"), REFUSED, ids=[fact for fact, _ in REFUSED])
def test_not_told_by(shows: Callable[[str, str], list[int]], fact: str, source: str) -> None:
    """What looks alike and is not."""
    assert shows(NAME, source) == [], fact


@pytest.mark.parametrize(("fact", "source"), SHOWN, ids=[fact for fact, _ in SHOWN])
def test_told_by(shows: Callable[[str, str], list[int]], fact: str, source: str) -> None:
    """The marked lines, each once, and no other."""
    marked = [number for number, line in enumerate(source.splitlines(), 1) if line.endswith("# !")]
    assert shows(NAME, source) == marked, fact
