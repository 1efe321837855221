"""A batch is no tuple of tensors: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "batch_is_no_tuple"
REFUSED = [
    ("an enumerate that was wrapped before", "for i, (x, y) in pbar:\n    f(x, y).backward()\n    optimizer.step()\n"),
    (
        "a tuple",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "a tensor that is moved",
        """\
for x in loader:
    x = x.to(d)
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "a tuple out of enumerate",
        """\
for i, (x, y) in enumerate(loader):
    f(x[0], y).backward()
    optimizer.step()
""",
    ),
]
SHOWN = [
    (
        "a dictionary",
        """\
for batch in loader:
    f(batch['x']).backward()  # !
    optimizer.step()
""",
    ),
    (
        "an object with attributes",
        """\
for i, batch in enumerate(tqdm(loader)):
    f(batch.src).backward()  # !
    optimizer.step()
""",
    ),
    (
        "a nested tuple",
        """\
for (a, b), y in loader:  # !
    f(a, b, y).backward()
    optimizer.step()
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
