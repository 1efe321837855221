"""Where an object was made that the base frame knows by a name."""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.frame import Frame

__all__ = ["Made", "made_by"]


@attrs.frozen(eq=False)
class Made:
    """Where an object was made: the statement, and the function (or file) that it stands in."""

    owner: Function
    statement: ast.Assign
    call: ast.Call


def made_by(name: str, base: Frame) -> Made | None:
    """The one assignment that makes what the base frame knows by a plain name."""
    found: list[Made] = []
    top = base.module.symbols.top
    for owner in [base.function, *([top] if top is not base.function else [])]:
        if owner is top and name in base.bound and not base.is_script:
            continue
        for node in owner.own:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and dotted(node.targets[0]) == name:
                if isinstance(node.value, ast.Call):
                    found.append(Made(owner, node, node.value))
                else:
                    return None
        if found:
            break
    return found[0] if len(found) == 1 else None
