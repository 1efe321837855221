"""The code sets up its own distributed training: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "own_distributed"
REFUSED = [
    (
        "a rank that is read",
        """\
import torch
r = torch.distributed.get_rank()
""",
    ),
    (
        "a spawn of something else",
        """\
pool.spawn(f)
""",
    ),
    (
        "one's own initialize",
        """\
import torch
model.initialize()
""",
    ),
]
SHOWN = [
    (
        "a process group and a wrapper",
        """\
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP
dist.init_process_group('gloo')  # !
model = DDP(model)  # !
""",
    ),
    (
        "other libraries",
        """\
import deepspeed
from accelerate import Accelerator
a = Accelerator()  # !
e = deepspeed.initialize(m)  # !
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
