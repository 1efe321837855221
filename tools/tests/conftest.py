"""Projects made of a few lines, rules applied to one source, and the command as a person calls it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import attrs
import pytest

# `test_robust.py` takes programs from there, and must be able to run by itself.
sys.path.insert(0, str(Path(__file__).parent / "idiomatic"))

from lab_migrate import cli

EXAMPLES = Path(__file__).parents[2] / "examples"


@attrs.frozen
class Ran:
    """What the command said and how it ended."""

    exit_code: int
    out: str
    err: str


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """`command("compare", a, b)`: run `lab-migrate` in this process, with its real exit code."""

    def call(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["lab-migrate", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        said = capfd.readouterr()
        return Ran(code, said.out, said.err)

    return call


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """`project({"train.py": source, …})`: a folder with these files."""

    def make(files: Mapping[str, str]) -> Path:
        root = tmp_path / "project"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")
        return root

    return make


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
