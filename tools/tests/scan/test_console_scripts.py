"""Commands that a project installs are entry points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab_migrate.scan import scan_project

Make = Callable[[Mapping[str, str]], Path]

CLI = """import torch


def main():
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for batch in [torch.ones(2)]:
        net(batch).mean().backward()
        optimizer.step()
"""
SAID = {
    "setup.py": "raise SystemExit('never run')\nsetup(entry_points={'console_scripts': ['fit = fits.cli:main']})\n",
    "setup.cfg": "[options.entry_points]\nconsole_scripts =\n    fit = fits.cli:main\n",
    "pyproject.toml": '[project.scripts]\nfit = "fits.cli:main"\n',
}


@pytest.mark.parametrize("file", SAID)
def test_an_installed_command_is_an_entry_point(project: Make, file: str) -> None:
    """Its file has no guard and no top level that trains: nothing else tells where it starts."""
    (entry,) = scan_project(project({file: SAID[file], "fits/cli.py": CLI, "fits/__init__.py": ""})).entries
    assert (entry.path, entry.line, entry.how, entry.loops) == ("fits/cli.py", 4, "command fit", ("fits/cli.py:7",))


@pytest.mark.parametrize("text", ["not = a : config", "[project", "[project]\nscripts = 3\n"])
def test_a_config_that_cannot_be_read_names_none(project: Make, text: str) -> None:
    """The scan says what it can without it."""
    files = {"pyproject.toml": text, "setup.cfg": text, "setup.py": text, "fits/cli.py": CLI}
    assert not scan_project(project(files)).entries
