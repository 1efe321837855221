"""The files of a user's project: listed, read and copied, never imported or changed."""

from __future__ import annotations

import ast
import os
import re
import shutil
import tokenize
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import attrs

from lab_migrate.errors import UsageError

__all__ = [
    "DEEPEST", "HUGE_BYTES", "Listing", "NotReadable", "Skipped", "copy_project", "decode_source", "encode_source",
    "foreign", "list_project", "parse_source", "python_files", "read_source", "require_project",
]  # fmt: skip

#: Folders that hold no source of the project, wherever they lie.
SKIPPED = frozenset(
    {".git", ".hg", ".svn", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox",
     ".nox", "node_modules", "site-packages", ".ipynb_checkpoints", ".eggs"}
)  # fmt: skip
#: Folders of output, when they lie directly in the project and are no package: deeper down, `build` is a fine name.
OUTPUT = frozenset({"runs", "build", "dist", "lightning_logs", "wandb", "mlruns"})
#: A file larger than this was not written by hand (the largest of torch's own 2,285 files has 0.5 MB).
HUGE_BYTES = 2_000_000
#: Levels of a syntax tree: 48 are the most in some 4,000 real files, and Python's own stack ends near 1,000.
DEEPEST = 150
_ASYNC_ARGUMENT = re.compile(r"\basync\s*=")


@attrs.frozen(order=True)
class Skipped:
    """Something in a project that was not read, and why; `kind` is a word to count by."""

    path: str
    kind: str
    reason: str


@attrs.frozen
class Listing:
    """What lies in a project's folder: its Python files and its configs in order, and what was skipped."""

    files: tuple[Path, ...]
    configs: tuple[Path, ...] = ()
    skipped: tuple[Skipped, ...] = ()


class NotReadable(ValueError):  # noqa: N818  (a state of the file, reported and counted, not a failure of the program)
    """A file that holds no Python text that can be read; `kind` and the message say why."""

    def __init__(self, kind: str, reason: str, lineno: int = 0) -> None:
        super().__init__(reason)
        self.kind = kind
        self.lineno = lineno


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
    """Every Python file below `root`, in order, without those of other people's folders."""
    yield from list_project(root).files


def list_project(root: Path, suffixes: tuple[str, ...] = ()) -> Listing:
    """All that lies below `root`. A file is Python by its suffix, or by a first line that names a Python interpreter.

    Links are not followed: a folder that contains itself ends, and a file outside is never taken for the project's.
    `suffixes` are those of the config files to list.
    """
    files: list[Path] = []
    configs: list[Path] = []
    skipped: list[Skipped] = []
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            skipped.append(Skipped(_relative(folder, root), "unreadable", f"folder not read: {error.strerror}"))
            continue
        inner: list[Path] = []
        for entry in entries:
            path = Path(entry.path)
            if entry.is_symlink():
                skipped += _link(path, root)
            elif entry.is_dir(follow_symlinks=False):
                reason = foreign(path, root)
                if reason:
                    skipped.append(Skipped(_relative(path, root), "folder", reason))
                else:
                    inner.append(path)
            elif not entry.is_file(follow_symlinks=False):
                continue  # a socket, a pipe, a device: opening it might never return
            elif path.suffix == ".py" or (not path.suffix and _has_python_shebang(path)):
                files.append(path)
            elif path.suffix == ".ipynb":
                reason = "a notebook: `jupyter nbconvert --to script` makes a script"
                skipped.append(Skipped(_relative(path, root), "notebook", reason))
            elif path.suffix in suffixes:
                configs.append(path)
        folders += reversed(inner)
    return Listing(tuple(sorted(files)), tuple(sorted(configs)), tuple(sorted(skipped)))


def foreign(folder: Path, root: Path) -> str:
    """Why a folder's files are not the project's own source; empty where they are."""
    if folder.name in SKIPPED or folder.name.endswith(".egg-info"):
        return f"{folder.name}: no source of the project"
    if (folder / "pyvenv.cfg").is_file():
        return "a virtual environment"
    if folder.parent == root and folder.name in OUTPUT and not (folder / "__init__.py").exists():
        return f"{folder.name}: output"
    return ""


def read_source(path: Path) -> str:
    """A file's text in the encoding that it declares, line ends as they are.

    Raises `NotReadable` where there is none: unreadable, huge, binary, or not in the encoding that it declares.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotReadable("unreadable", f"not read: {error.strerror}") from error
    return decode_source(data)


def decode_source(data: bytes) -> str:
    """The text of a Python file's bytes; encoding it again gives the same bytes. Raises `NotReadable`."""
    if len(data) > HUGE_BYTES:
        raise NotReadable("huge", f"{len(data) / 1e6:.1f} MB of Python were not written by hand")
    if b"\0" in data:
        raise NotReadable("binary", "it holds null bytes")
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
        same = text.encode(encoding) == data
    except (UnicodeError, LookupError) as error:
        raise NotReadable("encoding", f"not in the encoding that it declares, {encoding}: {error}") from error
    if not same:
        raise NotReadable(
            "encoding", f"writing it in the encoding that it declares, {encoding}, would change its bytes"
        )
    return text


def parse_source(text: str) -> ast.Module:
    """The tree of a file's text, without a word of what the file's own code warns of.

    Raises `NotReadable` where it is no Python 3, or nested so deep that nobody wrote it and few tools survive it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as error:
        raise NotReadable("syntax", str(error.msg) + _known_cause(error), error.lineno or 0) from error
    except (RecursionError, MemoryError) as error:
        raise NotReadable("syntax", "nested deeper than Python's parser goes") from error
    except ValueError as error:
        raise NotReadable("syntax", str(error)) from error
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node) if child._fields]
        if not level:
            return tree
    raise NotReadable("syntax", f"nested more than {DEEPEST} levels deep", getattr(level[0], "lineno", 0))


def encode_source(path: Path, text: str) -> bytes:
    """`text` in the encoding that the file at `path` declares."""
    return text.encode(_encoding(path.read_bytes()))


def copy_project(root: Path, out: Path) -> None:
    """Copy a project's files to a folder that does not exist yet, or is empty. Raises `UsageError`."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: expected no folder, or an empty one, found something in it; choose another --out")
    if root.resolve() == out.resolve() or root.resolve() in out.resolve().parents:
        raise UsageError(f"{out}: expected a folder outside the project {root}; choose another --out")

    def leave_out(folder: str, names: list[str]) -> set[str]:
        inside = {name: Path(folder) / name for name in names}
        return {
            name for name, path in inside.items() if not path.is_symlink() and path.is_dir() and foreign(path, root)
        }

    shutil.copytree(root, out, symlinks=True, ignore=leave_out, dirs_exist_ok=True)


def _known_cause(error: SyntaxError) -> str:
    """What Python itself does not say of a line that once was good Python."""
    if _ASYNC_ARGUMENT.search(error.text or ""):
        return " (`async` is a keyword since Python 3.7; torch calls this argument `non_blocking`)"
    return ""


def _encoding(data: bytes) -> str:
    # tokenize knows only line feeds; Python itself ends a line at a lone carriage return, too.
    lines = BytesIO(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    try:
        return tokenize.detect_encoding(lines.readline)[0]
    except SyntaxError as error:
        raise NotReadable("encoding", str(error)) from error


def _has_python_shebang(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first = file.read(64).split(b"\n")[0]
    except OSError:
        return False
    return first.startswith(b"#!") and b"python" in first


def _link(path: Path, root: Path) -> list[Skipped]:
    """A link that would have been read, with where it leads."""
    if path.suffix != ".py" and not path.is_dir():
        return []
    target = path.resolve() if path.exists() else None
    where = "nowhere" if target is None else "into the project" if target.is_relative_to(root.resolve()) else "outside"
    return [Skipped(_relative(path, root), "link", f"a symbolic link that leads {where}; not followed")]


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
