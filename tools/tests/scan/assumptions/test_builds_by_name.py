"""What is trained is chosen by name, at run time: told by these lines (marked `# !`), and not by those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NAME = "builds_by_name"
REFUSED = [
    (
        "an attribute with a constant name",
        """\
getattr(module, 'step')()
""",
    ),
    (
        "an import with a constant name",
        """\
import importlib
importlib.import_module('numpy')
""",
    ),
    (
        "a value of an argument",
        """\
value = getattr(args, name)
""",
    ),
]
SHOWN = [
    (
        "a class chosen by name",
        """\
import models, torch
model = getattr(models, args.arch)(**kw)  # !
""",
    ),
    (
        "a class picked first",
        """\
import models, torch
cls = getattr(models, args.arch)  # !
""",
    ),
    (
        "a module imported by a computed name",
        """\
import importlib, torch
m = importlib.import_module(f'models.{name}')  # !
""",
    ),
    (
        "a registry",
        """\
import torch
MODELS = Registry('models')  # !
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
