"""Which of a project's classes play a role by what they derive from, and where they are built."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis import CallGraph, Class, Function
from lab_migrate.analysis.symbols import dotted
from lab_migrate.scan.inventory import RoleUse
from lab_migrate.scan.role import Role, all_roles

__all__ = ["built_classes", "class_roles"]

#: Classes of these roles are built in one another all the time: what matters is where others build them.
_NESTING = frozenset({"model", "objective"})


def class_roles(graph: CallGraph) -> dict[int, tuple[Class, str, str]]:
    """`id(class)` -> (class, role, the base that gives it), for every class that derives from a role's."""
    found: dict[int, tuple[Class, str, str]] = {}
    for cls in graph.project.classes:
        outer = [(base, _full(one, base)) for one in graph.lineage(cls) for base in one.bases]
        for _, full in outer:
            role = _role_of_base(full)
            if role is not None:
                name = "objective" if role.name == "model" and _is_loss(cls.name) else role.name
                found[id(cls)] = (cls, name, full)
                break
    return found


def built_classes(graph: CallGraph, roles: dict[int, tuple[Class, str, str]]) -> Iterator[RoleUse]:
    """Where the project builds them, less modules built inside modules."""
    names = {cls.name for cls, _, _ in roles.values()}
    for function in graph.project.functions:
        for node in function.own:
            if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] not in names:
                continue
            for cls in graph.types(function, node):
                known = roles.get(id(cls))
                if known is None or cls.name != dotted(node.func).rpartition(".")[2]:
                    continue
                role = known[1]
                if role in _NESTING and _owner_role(function, roles) in _NESTING:
                    continue
                yield RoleUse(role, function.path, node.lineno, cls.name, (), "built")


def _owner_role(function: Function, roles: dict[int, tuple[Class, str, str]]) -> str:
    one: Function | None = function
    while one is not None:
        if one.cls is not None:
            known = roles.get(id(one.cls))
            return known[1] if known else ""
        one = one.parent
    return ""


def _role_of_base(name: str) -> Role | None:
    return next((role for role in all_roles() if name in role.classes), None)


def _full(cls: Class, base: str) -> str:
    head, dot, rest = base.partition(".")
    return f"{cls.module.symbols.imports.get(head, head)}{dot}{rest}"


def _is_loss(name: str) -> bool:
    return name.lower().endswith(("loss", "criterion", "losscompute"))
