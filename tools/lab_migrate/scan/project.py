"""Scanning a whole project."""

from __future__ import annotations

import ast
from pathlib import Path

from lab_migrate.findings import Finding, Status
from lab_migrate.profile import profiles_for
from lab_migrate.project import SKIPPED, python_files, read_source, require_project
from lab_migrate.scan.inventory import Entry, Inventory, Loop, RoleUse
from lab_migrate.scan.loops import training_loops
from lab_migrate.scan.names import role_uses

CONFIG_SUFFIXES = (".gin", ".yaml", ".yml", ".toml")


def scan_project(root: Path) -> Inventory:
    """Read every Python file of a project. Raises `UsageError` for a folder without any."""
    require_project(root)
    profiles = profiles_for(root)
    entries: list[Entry] = []
    roles: list[RoleUse] = []
    loops: list[Loop] = []
    findings: list[Finding] = []
    files = lines = 0
    for file in python_files(root):
        path = file.relative_to(root).as_posix()
        try:
            source = read_source(file)
            tree = ast.parse(source)
        except (SyntaxError, UnicodeDecodeError, ValueError) as error:
            findings.append(_unreadable(path, error))
            continue
        files, lines = files + 1, lines + source.count("\n")
        entries += [Entry(path, node.lineno) for node in tree.body if _is_main(node)]
        roles += role_uses(tree, path, profiles)
        loops += training_loops(tree, path)
    return Inventory(
        str(root),
        files,
        lines,
        tuple(entries),
        tuple(sorted(roles)),
        tuple(loops),
        tuple(_configs(root)),
        tuple(findings),
    )


def _unreadable(path: str, error: Exception) -> Finding:
    line = getattr(error, "lineno", 0) or 0
    return Finding(
        path,
        line,
        0,
        "LM001",
        Status.MANUAL,
        f"not read: {error}",
        "mend the file, or leave it out if it is not Python 3",
    )


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).replace('"', "'") in (
        "__name__ == '__main__'", "'__main__' == __name__",
    )  # fmt: skip


def _configs(root: Path) -> list[str]:
    found = (path for suffix in CONFIG_SUFFIXES for path in root.rglob(f"*{suffix}"))
    return sorted(
        path.relative_to(root).as_posix() for path in found if not SKIPPED & set(path.relative_to(root).parts)
    )
