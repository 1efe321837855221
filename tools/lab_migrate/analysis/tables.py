"""What a table of the project holds: a dict's values, and what code puts into it, in whatever file.

LEARNERS = {"ppo": PPO}     LEARNERS["sac"] = SAC     LEARNERS.update(td3=TD3)     dict(ppo=PPO)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

from lab_migrate.analysis.definitions import MAX_DEPTH, Definitions, scopes
from lab_migrate.analysis.sources import Module
from lab_migrate.analysis.symbols import Function, dotted

__all__ = ["Tables"]

_DICTS = ("dict", "OrderedDict", "collections.OrderedDict", "defaultdict", "collections.defaultdict")


class Tables(Definitions):
    """Entries of tables."""

    def entries(self, function: Function, table: ast.expr, depth: int = 0) -> Iterator[tuple[Function, ast.expr]]:
        """The values of a table that an expression names, each with the function in whose code it stands."""
        if depth > MAX_DEPTH:
            return
        if isinstance(table, ast.Dict):
            yield from ((function, value) for value in table.values)
        elif isinstance(table, ast.Call) and dotted(table.func) in _DICTS:
            yield from ((function, keyword.value) for keyword in table.keywords)
            for value in table.args:
                yield from self.entries(function, value, depth + 1)
        elif isinstance(table, ast.Name):
            home = self._home(function, table.id)
            if home is not None:
                yield from self._of_home(*home, depth)
        elif isinstance(table, ast.Attribute):
            home = self._imported_table(function.module, self.full_name(function, table))
            if home is not None:
                yield from self._of_home(*home, depth)

    def imported_values(self, module: Module, full: str) -> tuple[Module | None, list[ast.expr]]:
        """What an imported variable was assigned in its file."""
        head, _, last = full.rpartition(".")
        home = self.project.find_module(head, module) if head else None
        return home, home.symbols.top.assigned.get(last, []) if home is not None else []

    def _of_home(self, scope: Function, name: str, depth: int) -> Iterator[tuple[Function, ast.expr]]:
        for value in scope.assigned[name]:
            yield from self.entries(scope, value, depth + 1)
        yield from self._filled.get((id(scope), name), [])

    def _home(self, function: Function, name: str) -> tuple[Function, str] | None:
        """The function, or the file's top level, whose name it is, and its name there."""
        for scope in scopes(function):
            if name in scope.assigned:
                return scope, name
            if name in scope.parameters:
                return None
        return self._imported_table(function.module, function.module.symbols.imports.get(name, ""))

    def _imported_table(self, module: Module, full: str, depth: int = 0) -> tuple[Function, str] | None:
        """Of `package.module.TABLE`, also through re-exports."""
        head, _, last = full.rpartition(".")
        home = self.project.find_module(head, module) if head and depth <= MAX_DEPTH else None
        if home is None:
            return None
        if last in home.symbols.top.assigned:
            return home.symbols.top, last
        return self._imported_table(home, home.symbols.imports.get(last, ""), depth + 1)

    @cached_property
    def _filled(self) -> dict[tuple[int, str], list[tuple[Function, ast.expr]]]:
        """By the table's home and name: `TABLE[key] = value`, `TABLE.update(…)`, in any file."""
        found: dict[tuple[int, str], list[tuple[Function, ast.expr]]] = {}
        for function in self.project.functions:
            for node in function.own:
                for table, values in _put(node):
                    home = (
                        self._home(function, table.id)
                        if isinstance(table, ast.Name)
                        else self._imported_table(function.module, self.full_name(function, table))
                    )
                    if home is not None:
                        found.setdefault((id(home[0]), home[1]), []).extend((function, value) for value in values)
        return found


def _put(node: ast.AST) -> Iterator[tuple[ast.Name | ast.Attribute, list[ast.expr]]]:
    """What a statement puts into which table; numbers, texts and made objects are no entries that code could call."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute | ast.Lambda | ast.Call):
        for target in node.targets:
            if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name | ast.Attribute):
                yield target.value, [node.value]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
        given = [value for one in node.args if isinstance(one, ast.Dict) for value in one.values]
        given += [keyword.value for keyword in node.keywords]
        if isinstance(node.func.value, ast.Name | ast.Attribute):
            yield node.func.value, given
