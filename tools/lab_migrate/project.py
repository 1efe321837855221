"""The files of a user's project: listed, read and copied, never imported or changed."""

from __future__ import annotations

import shutil
import tokenize
from collections.abc import Iterator
from pathlib import Path

from lab_migrate.errors import UsageError

#: Folders that hold no source of the project.
SKIPPED = frozenset(
    {".git", ".hg", ".svn", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", "runs",
     "node_modules", "build", "dist", "lightning_logs", ".ipynb_checkpoints"}
)  # fmt: skip


def require_project(root: Path) -> Path:
    """The folder itself. Raises `UsageError` unless it is one and holds Python."""
    if not root.exists():
        raise UsageError(f"{root}: no such folder")
    if not root.is_dir():
        raise UsageError(f"{root}: expected a project's folder, found a file; give the folder that holds it")
    if next(python_files(root), None) is None:
        raise UsageError(f"{root}: expected a project with Python files, found none")
    return root


def python_files(root: Path) -> Iterator[Path]:
    """Every `.py` file below `root`, in order, without those of other people's folders."""
    for path in sorted(root.iterdir()):
        if path.is_dir() and not path.is_symlink() and path.name not in SKIPPED and not path.name.endswith(".egg-info"):
            yield from python_files(path)
        elif path.suffix == ".py" and path.is_file():
            yield path


def read_source(path: Path) -> str:
    """A file's text in the encoding that it declares, line ends as they are.

    Raises `SyntaxError` or `UnicodeDecodeError` where the declaration is wrong.
    """
    with path.open("rb") as file:
        encoding, _ = tokenize.detect_encoding(file.readline)
    return path.read_bytes().decode(encoding)


def encode_source(path: Path, text: str) -> bytes:
    """`text` in the encoding that the file at `path` declares."""
    with path.open("rb") as file:
        encoding, _ = tokenize.detect_encoding(file.readline)
    return text.encode(encoding)


def copy_project(root: Path, out: Path) -> None:
    """Copy a project's files to a folder that does not exist yet, or is empty. Raises `UsageError`."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: expected no folder, or an empty one, found something in it; choose another --out")
    if root.resolve() == out.resolve() or root.resolve() in out.resolve().parents:
        raise UsageError(f"{out}: expected a folder outside the project {root}; choose another --out")
    shutil.copytree(root, out, symlinks=True, ignore=lambda _, names: SKIPPED & set(names), dirs_exist_ok=True)
