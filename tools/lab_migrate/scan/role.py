"""What a role is to a scan, and where roles are found.

A role is a module in `roles/` with a docstring and any of

    CLASSES   dotted names; a class that derives from one of them, through any number of the project's own classes,
              plays the role
    BUILDERS  dotted names with `*`; a call of one of them builds, or uses, what plays the role
    find(file) -> Iterator[RoleUse]   whatever takes more than a name

The role is named after the file. Adding one adds a file and touches no other.
"""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import cache

import attrs

from lab_migrate.scan.inventory import RoleUse
from lab_migrate.scan.syntax import SourceFile

__all__ = ["Role", "all_roles"]


@attrs.frozen(eq=False)
class Role:
    """One role, loaded from its file."""

    name: str
    title: str
    classes: frozenset[str] = frozenset()
    builders: re.Pattern[str] | None = None
    find: Callable[[SourceFile], Iterator[RoleUse]] | None = None


@cache
def all_roles() -> tuple[Role, ...]:
    """Every role in `roles/`, in order of name."""
    from lab_migrate.scan import roles

    found = []
    for info in pkgutil.iter_modules(roles.__path__):
        module = importlib.import_module(f"{roles.__name__}.{info.name}")
        patterns = tuple(getattr(module, "BUILDERS", ()))
        found.append(
            Role(
                info.name,
                (module.__doc__ or "").strip().splitlines()[0],
                frozenset(getattr(module, "CLASSES", ())),
                re.compile("|".join(map(fnmatch.translate, patterns))) if patterns else None,
                getattr(module, "find", None),
            )
        )
    return tuple(sorted(found, key=lambda role: role.name))
