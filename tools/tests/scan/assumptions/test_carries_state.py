"""A step uses what the step before it computed: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "carries_state"
REFUSED = [
    (
        "a name that is bound before it is read",
        """\
for x in loader:
    loss = f(x)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "a name that is only read",
        """\
for x in loader:
    g(scale, x).backward()
    optimizer.step()
""",
    ),
    (
        "the variable of an inner loop",
        """\
for x in loader:
    for p in ps:
        g(p)
    f(x).backward()
    optimizer.step()
""",
    ),
    (
        "the variable of a comprehension",
        """\
for x in loader:
    z = [k for k in x]
    f(z).backward()
    optimizer.step()
""",
    ),
]
SHOWN = [
    (
        "a hidden state",
        """\
for x in loader:
    out, hidden = model(x, hidden)  # !
    f(out).backward()
    optimizer.step()
""",
    ),
    (
        "a running sum",
        """\
for x in loader:
    loss = f(x)
    loss.backward()
    optimizer.step()
    total += loss.item()  # !
""",
    ),
    (
        "a batch fetched ahead",
        """\
while True:
    loss = f(batch)  # !
    batch = get()
    loss.backward()
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
