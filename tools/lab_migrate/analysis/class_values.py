"""Which classes of the project an expression may be: named, chosen from a table, or looked up by name in a file.

    cls = MODELS[name]     cls = getattr(models, name)     return globals()[name]     cls = MODELS.get(name)

A name that is only known at run time may be any class of the table, of the file, or any that `@MODELS.register()`
stands before, or a decorator of the project's that puts it into the table.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

from lab_migrate.analysis.definitions import MAX_DEPTH, scopes
from lab_migrate.analysis.sources import Module, Project
from lab_migrate.analysis.symbols import Class, Function, dotted
from lab_migrate.analysis.tables import Tables

__all__ = ["ClassValues"]

_TABLES = ("globals", "vars", "locals")


class ClassValues(Tables):
    """Classes as values."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        #: What is being worked out, so that a value made of itself ends.
        self.open: set[tuple[int, str]] = set()

    def classes(self, function: Function, value: ast.expr, depth: int = 0) -> tuple[Class, ...]:
        """The classes that an expression in a function's code may be; empty where nothing is known."""
        return tuple(dict.fromkeys(self._classes(function, value, depth)))

    def _classes(self, function: Function, value: ast.expr, depth: int) -> Iterator[Class]:
        if depth > MAX_DEPTH:
            return
        if isinstance(value, ast.IfExp):
            yield from self._classes(function, value.body, depth)
            yield from self._classes(function, value.orelse, depth)
        elif isinstance(value, ast.Name):
            yield from self._of_name(function, value.id, depth)
        elif isinstance(value, ast.Attribute):
            found = self.imported(function.module, self.full_name(function, value))
            if isinstance(found, Class):
                yield found
        elif isinstance(value, ast.Subscript):
            yield from self._of_table(function, value.value, depth)
        elif isinstance(value, ast.Call):
            yield from self._returned(function, value, depth)

    def _of_name(self, function: Function, name: str, depth: int) -> Iterator[Class]:
        found = self.lookup(function, name)
        if isinstance(found, Class):
            yield found
        key = (id(function), f"class {name}")
        if found is not None or key in self.open:
            return
        self.open.add(key)
        try:
            for scope in scopes(function):
                if name in scope.assigned:
                    for value in scope.assigned[name]:
                        yield from self._classes(scope, value, depth + 1)
                    return
                if name in scope.parameters:
                    if scope.parameters[0] == name:
                        yield from self._decorated_by(scope)
                    return
        finally:
            self.open.discard(key)

    def _decorated_by(self, function: Function) -> Iterator[Class]:
        """The classes that a decorator is given: itself (`@register`), or made by a call (`@register("ppo")`)."""
        yield from self._decorated.get(id(function), [])
        if function.parent is not None:
            yield from self._decorated.get(id(function.parent), [])

    @cached_property
    def _decorated(self) -> dict[int, list[Class]]:
        found: dict[int, list[Class]] = {}
        for cls in self.project.classes:
            for decorator in cls.node.decorator_list:
                named = decorator.func if isinstance(decorator, ast.Call) else decorator
                top = cls.module.symbols.top
                if isinstance(named, ast.Name):
                    made = self.lookup(top, named.id)
                elif isinstance(named, ast.Attribute):
                    made = self.imported(cls.module, self.full_name(top, named))
                else:
                    continue
                if isinstance(made, Function):
                    found.setdefault(id(made), []).append(cls)
        return found

    def _returned(self, function: Function, call: ast.Call, depth: int) -> Iterator[Class]:
        """`getattr(module, name)`, `TABLE.get(name)`, and functions that return a class."""
        if dotted(call.func) == "getattr" and len(call.args) > 1 and not isinstance(call.args[1], ast.Constant):
            yield from self._in_file(self._module(function, call.args[0]))
            return
        found: Function | Class | None = None
        if isinstance(call.func, ast.Name):
            found = self.lookup(function, call.func.id)
        elif isinstance(call.func, ast.Attribute):
            found = self.imported(function.module, self.full_name(function, call.func))
        if isinstance(found, Function):
            for node in found.own:
                if isinstance(node, ast.Return) and node.value is not None:
                    yield from self._classes(found, node.value, depth + 1)
        elif isinstance(call.func, ast.Attribute) and call.func.attr in ("get", "get_class"):
            yield from self._of_table(function, call.func.value, depth)

    def _of_table(self, function: Function, table: ast.expr, depth: int) -> Iterator[Class]:
        """A dict's values; all classes of a file where its own names are the table."""
        if isinstance(table, ast.Call) and dotted(table.func) in _TABLES:
            yield from self._in_file(self._module(function, table.args[0]) if table.args else function.module)
        elif isinstance(table, ast.Attribute) and table.attr == "__dict__":
            yield from self._in_file(self._module(function, table.value))
        else:
            yield from self.registered(table)
            for scope, value in self.entries(function, table, depth):
                yield from self._classes(scope, value, depth + 1)

    def registered(self, table: ast.expr) -> list[Class]:
        """The classes that a registry of this name was given by `@table.register…`."""
        return self._registered.get(dotted(table).rpartition(".")[2], [])

    @cached_property
    def _registered(self) -> dict[str, list[Class]]:
        found: dict[str, list[Class]] = {}
        for cls in self.project.classes:
            for decorator in cls.node.decorator_list:
                name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
                table, _, method = name.rpartition(".")
                if table and method.startswith("register"):
                    found.setdefault(table.rpartition(".")[2], []).append(cls)
        return found

    def _module(self, function: Function, value: ast.expr) -> Module | None:
        """The file of the project that an expression names."""
        head, _, rest = dotted(value).partition(".")
        full = function.module.symbols.imports.get(head, "")
        return self.project.find_module(f"{full}.{rest}" if rest else full, function.module) if full else None

    def _in_file(self, module: Module | None) -> Iterator[Class]:
        """The classes that a file defines or imports."""
        if module is None:
            return
        yield from (cls for cls in module.symbols.classes)
        for full in module.symbols.imports.values():
            found = self.imported(module, full)
            if isinstance(found, Class):
                yield found
