"""zero_grad is called on the model: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "zeroes_the_model"
REFUSED = [
    (
        "the optimizer",
        """\
optimizer.zero_grad()
self.opt.zero_grad()
""",
    ),
    (
        "an optimizer named after its model",
        """\
model_opt.zero_grad()
optim_netG.zero_grad()
""",
    ),
]
SHOWN = [
    (
        "the model",
        """\
model.zero_grad()  # !
self.netD.zero_grad(set_to_none=True)  # !
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
