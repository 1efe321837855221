"""A CUDA device is written into the code: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "hard_coded_cuda"
REFUSED = [
    (
        "a device that is asked for",
        """\
import torch
d = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
""",
    ),
    (
        "a move under a condition",
        """\
import torch
if torch.cuda.is_available():
    model.cuda()
""",
    ),
    (
        "a default of an argument",
        """\
parser.add_argument('--device', default='cuda')
""",
    ),
    (
        "a move to a device",
        """\
x = x.to(device)
""",
    ),
]
SHOWN = [
    (
        "a method",
        """\
import torch
model.cuda()  # !
""",
    ),
    (
        "a device by name",
        """\
import torch
d = torch.device('cuda:0')  # !
x = x.to('cuda')  # !
y = torch.zeros(1, device='cuda')  # !
""",
    ),
    (
        "a device by rank",
        """\
import torch
d = torch.device(f'cuda:{rank}')  # !
torch.cuda.set_device(rank)  # !
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
