"""Small projects with configs of other frameworks, as files."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.tests.config.config_files import Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the files of a project; gives its folder."""

    def made(files: Mapping[str, str]) -> Path:
        (tmp_path / ".git").mkdir(exist_ok=True)
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")
        return tmp_path

    return made
