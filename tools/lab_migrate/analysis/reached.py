"""Which files of a project a file brings in when it is imported, or run."""

from __future__ import annotations

import ast

from lab_migrate.analysis.sources import Module, Project
from lab_migrate.analysis.symbols import IMPORTERS, dotted

__all__ = ["reached_from"]

#: A package that calls one of these as it is imported looks for its own files: each registers a model, a data set.
_BY_NAME = (*IMPORTERS, "pkgutil.iter_modules", "pkgutil.walk_packages")


def reached_from(project: Project, entry: str) -> set[str]:
    """Files that a file imports, directly or not, itself included; packages on the way too."""
    found: set[str] = set()
    queue = [entry]
    while queue:
        path = queue.pop()
        module = project.modules.get(path)
        if module is None or path in found:
            continue
        found.add(path)
        for full in sorted(module.symbols.imported):
            parts = full.split(".")
            for end in range(1, len(parts) + 1):
                other = project.find_module(".".join(parts[:end]), module)
                if other is not None:
                    queue.append(other.path)
        folders = [full.replace(".", "/") for full in sorted(module.symbols.packages)]
        if module.is_package and _imports_by_name(module):
            folders.append(path.removesuffix("/__init__.py"))
        queue += [one for one in project.modules if any(_is_in(one, folder) for folder in folders)]
    return found


def _imports_by_name(module: Module) -> bool:
    return any(isinstance(node, ast.Call) and dotted(node.func) in _BY_NAME for node in module.symbols.top.own)


def _is_in(path: str, folder: str) -> bool:
    """Whether a file lies in a folder of that name, wherever that one is, and not deeper."""
    return f"/{path.rpartition('/')[0]}".endswith(f"/{folder}")
