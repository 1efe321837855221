"""The data divides itself among processes or workers: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "shards_itself"
REFUSED = [
    (
        "every second item",
        """\
import torch
x = items[::2]
""",
    ),
    (
        "a slice from a start",
        """\
import torch
x = items[start::n]
""",
    ),
]
SHOWN = [
    (
        "every n-th by rank",
        """\
import torch
x = items[rank::world_size]  # !
""",
    ),
    (
        "workers",
        """\
import torch
info = torch.utils.data.get_worker_info()  # !
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
