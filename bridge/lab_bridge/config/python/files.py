"""The files of a Python config."""

from __future__ import annotations

import tokenize
from pathlib import Path


def read_source(path: Path) -> str:
    """The text of a Python file, in the encoding it says. Raises `OSError`, `SyntaxError`."""
    with tokenize.open(path) as file:
        return file.read()


def file_of(path: Path) -> Path | None:
    """The file of a module's path, if there is one."""
    for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        if file.is_file():
            return file.resolve()
    return None


def module_of(path: Path) -> str:
    """The file's module name and a dot, where it lies in a package."""
    parts = [path.stem] if path.name != "__init__.py" else []
    folder = path.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return "".join(f"{part}." for part in parts)
