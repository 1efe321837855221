"""What a native training is called."""

from __future__ import annotations

import ast
import keyword
import sys
from collections.abc import Mapping
from pathlib import Path

from lab_migrate.native.files import File

__all__ = ["package_of", "stem_of"]

#: What the written files import.
NEEDED = {"attrs", "jsonargparse", "legacy_lab", "lightning", "lightning_utilities", "torch"}


def stem_of(config: Path) -> str:
    """The name that it gets from its config's file, as Python can have it."""
    name = "".join(letter if letter.isalnum() else "_" for letter in config.stem.lower()).strip("_")
    if not name:
        return "training"
    return name if name.isidentifier() else f"training_{name}"


def package_of(stem: str, files: Mapping[str, File]) -> str:
    """The name of the package that is written: none that the project, or what it imports, has already."""
    folders = {path.split("/")[0].removesuffix(".py") for path in files}
    imported = {name for file in files.values() for node in ast.walk(file.tree) for name in _imported(node)}
    taken = folders | imported | NEEDED | sys.stdlib_module_names
    return f"{stem}_training" if stem in taken or keyword.iskeyword(stem) else stem


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        return [node.module.split(".")[0]]
    return []
