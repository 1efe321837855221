"""One file of source as a project, and what a detector or a role says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab_migrate.scan import scan_project


@pytest.fixture
def shows(tmp_path: Path) -> Callable[[str, str], list[int]]:
    """`shows("clips", source)`: the lines of evidence that a scan of a project of this one file has for it."""

    def lines(name: str, source: str) -> list[int]:
        # A file that does not mention torch is not read in full; every training file does.
        (tmp_path / "train.py").write_text(f"{source}\nTORCH = 'torch'\n", encoding="utf-8")
        found = [item for item in scan_project(tmp_path).assumptions if item.name == name.replace("_", " ")]
        return sorted({evidence.line for item in found for evidence in item.evidence})

    return lines
