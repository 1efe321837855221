"""Where a file uses names of a known framework, through whatever import form."""

from __future__ import annotations

import ast

from lab_migrate.profile import Profile
from lab_migrate.scan.inventory import RoleUse


def role_uses(tree: ast.Module, path: str, profiles: list[Profile]) -> list[RoleUse]:
    """Imports and dotted uses of names that a profile gives a role, one a name and line."""
    imported = _imports(tree)
    found: set[RoleUse] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        full = _full_name(node, imported)
        for profile in profiles:
            role = profile.role_of(full) if full else None
            if role is not None:
                found.add(RoleUse(role.role, path, node.lineno, full, role.assumptions))
    return sorted(found)


def _imports(tree: ast.Module) -> dict[str, str]:
    """Local name -> dotted name, for every import in the file."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _full_name(node: ast.expr, imported: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in imported:
        return ""
    return ".".join([imported[node.id], *reversed(parts)])
