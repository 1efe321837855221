"""Where a file uses names of a known framework, through whatever import form, and through instances of its classes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis import Module
from lab_migrate.analysis.symbols import dotted
from lab_migrate.profile import Profile
from lab_migrate.scan.inventory import RoleUse

__all__ = ["role_uses"]


def role_uses(module: Module, profiles: list[Profile]) -> list[RoleUse]:
    """Imports and dotted uses of names that a profile gives a role, and what moves, one a name and line."""
    profiles = [profile for profile in profiles if any(package in module.text for package in _packages(profile))]
    imported = module.symbols.imports
    if not profiles:
        return []
    nodes = [node for node in ast.walk(module.tree) if isinstance(node, ast.Name | ast.Attribute)]
    instances = _instances(module, profiles)
    found: set[RoleUse] = set()
    for node in nodes:
        name = dotted(node)
        full = _full(name, imported) or _of_instance(name, instances)
        for profile in profiles:
            role = profile.role_of(full) if full else None
            if role is not None:
                found.add(RoleUse(role.role, module.path, node.lineno, full, role.assumptions, "used", role.becomes))
    for profile in profiles:
        found.update(_moves(module, profile))
    return sorted(found)


def _packages(profile: Profile) -> set[str]:
    """The first parts of its names: one of them stands in any file that imports one."""
    return {name.partition(".")[0] for role in profile.roles for name in role.names} | {profile.package} - {""}


def _instances(module: Module, profiles: list[Profile]) -> dict[str, str]:
    """Names that a file assigns an instance of a profile's class to: `accelerator` -> `accelerate.Accelerator`."""
    found: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            full = _full(dotted(node.value.func), module.symbols.imports)
            if full and any(profile.role_of(full) for profile in profiles):
                found |= {name: full for target in node.targets if (name := dotted(target))}
    return found


def _moves(module: Module, profile: Profile) -> Iterator[RoleUse]:
    """Methods that subclasses of the framework's classes define, and arguments of its calls, under an old name."""
    moves = {move.name: move.becomes for move in profile.moves}
    if not moves:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            bases = [_full(dotted(base), module.symbols.imports) for base in node.bases]
            roles = [role for base in bases if base and (role := profile.role_of(base))]
            for item in node.body if roles else ():
                if isinstance(item, ast.FunctionDef) and item.name in moves:
                    yield _moved(roles[0].role, module.path, item.lineno, item.name, moves)
        elif isinstance(node, ast.Call):
            full = _full(dotted(node.func), module.symbols.imports)
            role = profile.role_of(full) if full else None
            for keyword in node.keywords if role else ():
                name = f"{full.rpartition('.')[2]}({keyword.arg})"
                if role is not None and name in moves:
                    yield _moved(role.role, module.path, keyword.value.lineno, name, moves)


def _moved(role: str, path: str, line: int, name: str, moves: dict[str, str]) -> RoleUse:
    return RoleUse(role, path, line, name, (), "moves", f"becomes {moves[name]}")


def _full(name: str, imported: dict[str, str]) -> str:
    head, dot, rest = name.partition(".")
    return f"{imported[head]}{dot}{rest}" if head in imported else ""


def _of_instance(name: str, instances: dict[str, str]) -> str:
    owner, _, method = name.rpartition(".")
    return f"{instances[owner]}.{method}" if owner in instances else ""
