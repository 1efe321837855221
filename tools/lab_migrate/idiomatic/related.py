"""Files whose code a training may meet: what its file imports, what imports it, and what those import in turn."""

from __future__ import annotations

from collections.abc import Iterable

from lab_migrate.analysis import Module, Project


def related(module: Module, project: Project) -> list[Module]:
    """The files, `module` first; all of the project where one of them imports by a name told at run time."""
    by_name = {one.name: one for one in project.modules.values()}
    imports = {one.name: _imported(one, by_name) for one in project.modules.values()}
    importers = {name: {one for one, names in imports.items() if name in names} for name in by_name}
    above = _closure([module.name], importers)
    found = [by_name[name] for name in _closure(above, imports)]
    if any("importlib" in one.text or "__import__" in one.text for one in found):
        return list(project.modules.values())
    return found


def _imported(module: Module, by_name: dict[str, Module]) -> set[str]:
    """Names of the project's modules that a file imports, and the packages that they lie in."""
    found: set[str] = set()
    for full in module.symbols.imported:
        parts = full.split(".")
        found |= {name for at in range(len(parts)) if (name := ".".join(parts[: at + 1])) in by_name}
    return found - {module.name}


def _closure(names: Iterable[str], edges: dict[str, set[str]]) -> list[str]:
    found = list(names)
    for name in found:
        found += [other for other in sorted(edges[name]) if other not in found]
    return found
