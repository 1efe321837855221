"""Gradients are clipped before the backward pass: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "clips_too_early"
REFUSED = [
    (
        "clipping between backward and step",
        """\
for x in loader:
    optimizer.zero_grad()
    f(x).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
""",
    ),
    (
        "the update of the batch before, at the top of the loop",
        """\
for i, x in enumerate(loader):
    if i:
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    f(x).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
""",
    ),
    (
        "clipping in a function that knows of no backward pass",
        """\
def clip(model):
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
""",
    ),
    (
        "clipping weights",
        """\
for x in loader:
    optimizer.zero_grad()
    for p in model.parameters():
        p.data.clamp_(-1, 1)
    f(x).backward()
    optimizer.step()
""",
    ),
]
FOUND = [
    (
        "zeros are clipped",
        """\
for x in loader:
    optimizer.zero_grad()
    loss = f(x)
    if clip > 0:
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)  # !
    loss.backward()
    optimizer.step()
""",
    ),
    (
        "the gradients of the batch before are clipped",
        """\
for x in loader:
    loss = f(x)
    nn.utils.clip_grad_value_(model.parameters(), 1.0)  # !
    loss.backward()
    optimizer.step()
""",
    ),
]


@pytest.mark.parametrize(("what", "source"), REFUSED, ids=[what for what, _ in REFUSED])
def test_not_told_by(shows: Callable[[str, str], list[int]], what: str, source: str) -> None:
    """These only look like it."""
    assert shows(NAME, source) == []


@pytest.mark.parametrize(("what", "source"), FOUND, ids=[what for what, _ in FOUND])
def test_told_by(shows: Callable[[str, str], list[int]], what: str, source: str) -> None:
    """Exactly the marked lines."""
    marked = [number for number, line in enumerate(source.splitlines(), 1) if line.endswith("# !")]
    assert shows(NAME, source) == marked
