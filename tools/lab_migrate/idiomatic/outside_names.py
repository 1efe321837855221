"""Names that a nest's code finds, and does not make."""

from __future__ import annotations

import ast
from collections.abc import Callable

from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.places import Places

__all__ = ["outside_of"]


def outside_of(frame: Frame, base: Frame, places: Places) -> Callable[[ast.expr], set[str]]:
    """What tells names that are bound outside of the epochs."""
    outside = {*places.names.captured, *places.fixed} - {"self"}

    def root(node: ast.expr) -> set[str]:
        while isinstance(node, ast.Attribute) and node.attr in ("data", "grad"):
            node = node.value
        name = frame.canonical(node)
        head = name.partition(".")[0]
        in_script = base.is_script and head in base.bound - {*base.module.symbols.imports}
        is_outside = head in outside or in_script or name.startswith("self.")
        return {name} if name and ":" not in name and is_outside else set()

    return root
