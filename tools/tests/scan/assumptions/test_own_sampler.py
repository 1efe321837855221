"""A sampler of the project's own decides on the order: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "own_sampler"
REFUSED = [
    (
        "samplers of noise and of timesteps",
        "class NoiseSampler:\n    def __call__(self, sigma): pass\n"
        "class ScheduleSampler(ABC):\n    def sample(self, n): pass\n"
        "class UniformSampler(ScheduleSampler):\n    pass\n"
        "class OneSampler(OtherSampler): pass\nclass OtherSampler(OneSampler): pass\n"
        "noise_sampler = NoiseSampler()\nt = UniformSampler()\n",
    ),
    (
        "what samples something else",
        "from resample import UniformSampler\nself.schedule_sampler = UniformSampler(diffusion)\n",
    ),
    (
        "a loader that shuffles",
        """\
import torch
l = torch.utils.data.DataLoader(d, shuffle=True)
""",
    ),
    (
        "another library's",
        """\
import optuna
s = optuna.TPESampler()
""",
    ),
]
SHOWN = [
    (
        "one that derives from nothing, and is iterated over",
        "class Grouped:\n    pass\nclass GroupedSampler:\n    def __iter__(self): pass\ns = GroupedSampler(d)  # !\n",
    ),
    (
        "one of the project's that a loader is given",
        "from samplers import Subset, RASampler\ns = RASampler(d)  # !\n"
        "l = torch.utils.data.DataLoader(d, sampler=s)\n",
    ),
    (
        "a class",
        """\
import torch
class ByLength(torch.utils.data.Sampler):  # !
    pass
""",
    ),
    (
        "a distributed one",
        """\
from torch.utils.data.distributed import DistributedSampler
s = DistributedSampler(d)  # !
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
