"""What one file cannot tell of a class: which of an installed package's classes it extends by way of other files, and
what its relatives there define, whose hooks a new one of its own would hide or be hidden by."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

import attrs

from lab_migrate.analysis.definitions import Definitions
from lab_migrate.analysis.sources import Project
from lab_migrate.analysis.symbols import Class

__all__ = ["Relatives", "relatives_of"]


@attrs.frozen
class Relatives:
    """Of one class.

    `installed` are the full names of the package's classes that it or its bases extend; `methods` what its bases and
    subclasses define, each with the names of all its parameters there. `asked` are the methods that code names: by
    calls on `self` and `super()` alone, in files with such classes, or (False) otherwise.
    """

    installed: tuple[str, ...] = ()
    methods: Mapping[str, frozenset[str]] = attrs.field(factory=dict)
    asked: Mapping[str, bool] = attrs.field(factory=dict)


def relatives_of(project: Project, package: str) -> dict[str, dict[str, Relatives]]:
    """Path -> class -> its relatives, for the classes of a project that extend some class of a package's."""
    definitions = Definitions(project)
    extending: list[tuple[Class, tuple[str, ...]]] = []
    for cls in project.classes:
        bases = definitions.lineage(cls)
        installed = tuple(name for one in bases for name in _installed(one) if name.split(".")[0] == package)
        if installed:
            extending.append((cls, installed))
    asked = _asked(project, {cls.module.path for cls, _ in extending})
    found: dict[str, dict[str, Relatives]] = {}
    for cls, installed in extending:
        family = [*definitions.lineage(cls)[1:], *definitions.subclasses(cls)]
        found.setdefault(cls.module.path, {})[cls.name] = Relatives(installed, _methods(family), asked)
    return found


def _installed(cls: Class) -> list[str]:
    """The full names of its bases, as its file imports them."""
    found = []
    for base in cls.bases:
        head, _, rest = base.partition(".")
        full = cls.module.symbols.imports.get(head, "")
        found.append(f"{full}.{rest}" if rest else full)
    return found


def _methods(family: list[Class]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for cls in family:
        for name, method in cls.methods.items():
            found[name] = found.get(name, frozenset()) | frozenset(method.parameters)
    return found


def _asked(project: Project, paths: set[str]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for module in project.modules.values():
        calls = {
            id(node.func)
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and module.path in paths and _is_own(node.func)
        }
        for node, name in _named(module.tree):
            found[name] = found.get(name, True) and id(node) in calls
    return found


def _is_own(func: ast.expr) -> bool:
    if not isinstance(func, ast.Attribute):
        return False
    holder = func.value
    name = holder.func if isinstance(holder, ast.Call) and not holder.args else holder
    return isinstance(name, ast.Name) and name.id == ("super" if isinstance(holder, ast.Call) else "self")


def _named(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node, node.attr
        elif isinstance(node, ast.Name):
            yield node, node.id
