"""Names of a file that the loop, or a function that it calls, gives other values or changes in their place."""

from __future__ import annotations

import ast

from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Function
from lab_migrate.idiomatic.beginnings import container_of
from lab_migrate.idiomatic.filling import changed_in_place
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.kept_values import keep_value
from lab_migrate.idiomatic.reach import reached_in
from lab_migrate.idiomatic.roles import nodes_of


def keep_globals(keeping: Keeping) -> None:
    """Names of the file that the loop, or a function that it calls, gives other values."""
    stored = {node.id for _, node in nodes_of(keeping.nest) if isinstance(node, ast.Name)
              and isinstance(node.ctx, ast.Store)}  # fmt: skip
    ours = keeping.places.shared & stored
    for name in sorted(ours):
        keep_value(keeping, name, name, keeping.base.module.symbols.top.assigned.get(name, []), f"global {name}")

    def does(node: ast.AST, within: Function) -> bool:
        _global_filled(keeping, node, within)
        if isinstance(node, ast.Global) and not any(within is frame.function for frame in keeping.nest.frames):
            assigned = names_in(within.body).assigned
            for name in node.names:
                if name in assigned and name not in ours and within.name != "<module>":
                    ours.add(name)
                    keeping.lose(name, f"a global name that {within.qualified}() changes")
        return False

    reached_in(keeping.nest, keeping.graph, does)


def _global_filled(keeping: Keeping, node: ast.AST, within: Function) -> None:
    """A list or dictionary of a file that a function changes in its place."""
    changed = changed_in_place(node)
    if not isinstance(changed, ast.Name) or any(within is frame.function for frame in keeping.nest.frames):
        return
    top, name = within.module.symbols.top, changed.id
    if within is top or name in within.assigned or name in within.parameters or within.parent not in (None, top):
        return
    if any(container_of(value) for value in top.assigned.get(name, [])) and name not in keeping.seen:
        keeping.seen.add(name)
        keeping.lose(name, f"{within.qualified}() changes it")
