"""What code that moves out of a file needs of it."""

from __future__ import annotations

import ast
import textwrap

import libcst as cst

__all__ = ["bases_of", "block_of", "imports_of"]


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
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return [imported.get(ast.unparse(base)) for base in definition.bases]


def imports_of(tree: ast.Module, home: str, code: str) -> tuple[list[str], list[str]]:
    """Import lines for what `code` uses of its file, the module `home`: imports of it, and definitions that it keeps.

    Second, what of that is Lab's, as `Name of module`.
    """
    used = {node.id for node in ast.walk(ast.parse(textwrap.dedent(code))) if isinstance(node, ast.Name)}
    found: list[str] = []
    labs: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias for alias in node.names if (alias.asname or alias.name).split(".")[0] in used]
            if not names:
                continue
            module = _absolute(node, home) if isinstance(node, ast.ImportFrom) else names[0].name
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


def _absolute(node: ast.ImportFrom, home: str) -> str:
    """The module that is imported from, also where that is said relative to `home`."""
    if not node.level:
        return node.module or ""
    return ".".join([*home.split(".")[: -node.level], *([node.module] if node.module else [])])
