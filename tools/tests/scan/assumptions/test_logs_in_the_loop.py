"""Numbers are logged or printed from within the loop: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "logs_in_the_loop"
REFUSED = [
    (
        "a loop that is silent",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "a print after the loop",
        """\
for x, y in loader:
    loss = f(x, y)
    loss.backward()
    optimizer.step()
print(1)
""",
    ),
    (
        "a logarithm",
        """\
for x in loader:
    torch.log(x)
    f(x).backward()
    optimizer.step()
""",
    ),
]
SHOWN = [
    (
        "a print",
        """\
for x in loader:
    f(x).backward()
    optimizer.step()
    print(x)  # !
""",
    ),
    (
        "trackers",
        """\
for x in loader:
    f(x).backward()
    optimizer.step()
    writer.add_scalar('a', 1)  # !
    wandb.log({})  # !
    self.logger.info('')  # !
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
