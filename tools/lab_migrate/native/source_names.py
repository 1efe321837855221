"""What code that moves out of a file needs of it."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import libcst as cst

from lab_bridge.config.places import Place
from lab_bridge.config.schema import Builder
from lab_migrate.native.refused import NotNativeError
from lab_migrate.project import read_source

__all__ = ["bases_of", "block_of", "imported_from", "imports_of", "package_of", "text_of"]


def text_of(builder: Builder) -> str:
    """The file that a builder stands in, whatever its encoding, with line feeds for line ends."""
    return read_source(Path(builder.place.file)).replace("\r\n", "\n").replace("\r", "\n")


def package_of(builder: Builder) -> str:
    """What the file's relative imports start from."""
    home = builder.target.rpartition(".")[0]
    return home if Path(builder.place.file).name == "__init__.py" else home.rpartition(".")[0]


def block_of(body: cst.BaseSuite) -> cst.IndentedBlock:
    """A body as a block of its own, also where it stands behind its `def` in one line."""
    if isinstance(body, cst.IndentedBlock):
        return body
    return cst.IndentedBlock([cst.SimpleStatementLine(cst.ensure_type(body, cst.SimpleStatementSuite).body)])


def bases_of(tree: ast.Module, definition: ast.ClassDef) -> list[str | None]:
    """The full names of a class's bases, as far as its file imports them by name; None for any other."""
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and not node.level
        for alias in node.names
    }
    return [imported.get(ast.unparse(base)) for base in definition.bases]


def imports_of(tree: ast.Module, builder: Builder, code: str) -> tuple[list[str], list[str]]:
    """Import lines for what `code` uses of the builder's file: imports of it, and definitions that it keeps.

    Second, what of that is Lab's, as `Name of module`. Raises `NotNativeError` for a name that some function of the
    file gives other values (`global`): code that moves would go on with the first, or change one of its own.
    """
    home, package = builder.target.rpartition(".")[0], package_of(builder)
    used = {node.id for node in ast.walk(ast.parse(textwrap.dedent(code))) if isinstance(node, ast.Name)}
    _require_constant(tree, builder, used)
    found: list[str] = []
    labs: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias for alias in node.names if (alias.asname or alias.name).split(".")[0] in used]
            if not names:
                continue
            module = imported_from(node, package) if isinstance(node, ast.ImportFrom) else names[0].name
            if module.split(".")[0] == "legacy_lab":
                labs += [f"{alias.asname or alias.name} of {module}" for alias in names]
            else:
                kept = ast.ImportFrom(module, names, 0) if isinstance(node, ast.ImportFrom) else ast.Import(names)
                found.append(ast.unparse(kept))
            continue
        own: list[str] = []
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            own = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            own = [target.id for target in targets if isinstance(target, ast.Name)]
        for name in [name for name in own if name in used]:
            (labs if home.split(".")[0] == "legacy_lab" else found).append(
                f"{name} of {home}" if home.split(".")[0] == "legacy_lab" else f"from {home} import {name}"
            )
    return found, labs


def _require_constant(tree: ast.Module, builder: Builder, used: set[str]) -> None:
    changing = [node for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for node in changing:
        for name in node.names:
            if name in used:
                raise NotNativeError(
                    "LM405", f"{builder.name} moves into another file, and the global {name} of this one changes",
                    "keep it on an object, or stay at level L2", Place(builder.place.file, node.lineno),
                )  # fmt: skip


def imported_from(node: ast.ImportFrom, package: str) -> str:
    """The module that is imported from, also where that is said relative to the file's `package`."""
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
