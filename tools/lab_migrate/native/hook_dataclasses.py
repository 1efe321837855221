"""Hooks that are dataclasses: the callback is one, too."""

from __future__ import annotations

import ast

from lab_bridge.config.sources.modules import dotted

__all__ = ["DATACLASS", "is_field", "is_plain_dataclass", "names_dataclass"]

DATACLASS = "dataclasses.dataclass"
DATACLASSES = ("dataclass", DATACLASS)


def is_plain_dataclass(decorator: ast.expr) -> bool:
    """One whose objects are as others are: `@dataclass`, under that name, without slots, frozen fields and the like."""
    made = decorator.func if isinstance(decorator, ast.Call) else decorator
    settings = decorator.keywords if isinstance(decorator, ast.Call) else []
    return dotted(made) in DATACLASSES and all(one.arg in ("eq", "kw_only", "repr") for one in settings)


def names_dataclass(decorator: ast.expr) -> bool:
    """Whether a decorator is called that; what the name means is looked up elsewhere."""
    return dotted(decorator.func if isinstance(decorator, ast.Call) else decorator) in DATACLASSES


def is_field(node: ast.stmt) -> bool:
    """`seen: list = field(default_factory=list)` of a dataclass."""
    match node:
        case ast.AnnAssign(value=ast.Call(func=made, args=[], keywords=[ast.keyword("default_factory", given)])):
            return dotted(made) in ("field", "dataclasses.field") and dotted(given) in ("dict", "list", "set")
    return False
