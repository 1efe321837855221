"""LM102: a star import of Lab is refused."""

from __future__ import annotations

import pytest

from lab_migrate.convert.rules import lm102_star_import as RULE  # noqa: F401


@pytest.mark.parametrize(
    "text",
    ["from os.path import *\n", "from legacy_lab import Trainer\n", "# legacy_lab\nfrom .legacy_lab import *\n"],
)
def test_other_imports_are_no_finding(places, text: str) -> None:
    """A star of somebody else's, a named import, a relative one."""
    assert places(text) == []


def test_a_star_import_is_left_to_a_person(places, convert) -> None:
    """Which names it brings cannot be told without running it."""
    text = "import os\n\nfrom legacy_lab import *\n"
    assert places(text) == [(3, "manual")]
    assert convert(text) == text
