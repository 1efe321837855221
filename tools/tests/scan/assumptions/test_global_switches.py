"""Global switches of torch are set: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "global_switches"
REFUSED = [
    (
        "reading a switch",
        """\
import torch
x = torch.backends.cudnn.version()
""",
    ),
]
SHOWN = [
    (
        "cudnn's search",
        """\
import torch.backends.cudnn as cudnn
cudnn.benchmark = True  # !
""",
    ),
    (
        "determinism",
        """\
import torch
torch.use_deterministic_algorithms(True)  # !
torch.backends.cuda.matmul.allow_tf32 = True  # !
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
