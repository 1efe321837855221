"""A command that cannot be recorded says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_migrate.errors import UsageError
from lab_migrate.recording import record_command


def test_a_command_that_only_a_shell_knows_is_told_how_to_be_given(tmp_path: Path) -> None:
    """`cd system && python main.py` is no program called `cd`."""
    with pytest.raises(UsageError, match=r"no-such-program: .*found none.*bash -c '…'"):
        record_command(["no-such-program", "system", "&&", "python", "main.py"], tmp_path / "a.trace", cwd=tmp_path)
