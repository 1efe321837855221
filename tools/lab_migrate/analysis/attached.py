"""Functions that code puts on a class or an object from outside, where they are called as its methods.

setattr(TrainingBox, "post_forward", default)     TrainingBox.step = own_step     trainer.step = MethodType(f, trainer)
"""

from __future__ import annotations

import ast
from functools import cached_property

from lab_migrate.analysis.definitions import enclosing_class
from lab_migrate.analysis.function_values import FunctionValues
from lab_migrate.analysis.symbols import Class, Function, dotted

__all__ = ["Attached"]


class Attached(FunctionValues):
    """Methods that stand in no class."""

    def attached(self, classes: tuple[Class, ...], name: str) -> list[Function]:
        """The functions that were put under this name on one of the classes, a base of it, or an object of it."""
        if name not in self._attached:
            return []
        related = {id(one) for cls in classes for one in (*self.lineage(cls), *self.subclasses(cls))}
        found: list[Function] = []
        for function, receiver, value in self._attached[name]:
            key = (id(value), f".{name}=")
            if key in self.open:
                continue
            self.open.add(key)
            try:
                if any(id(owner) in related for owner in self._owners(function, receiver)):
                    found += self.functions(function, value)
            finally:
                self.open.discard(key)
        return list(dict.fromkeys(found))

    def _owners(self, function: Function, receiver: ast.expr) -> tuple[Class, ...]:
        """The class that is named, or those of the object."""
        named: Function | Class | None = None
        if isinstance(receiver, ast.Name):
            named = self.lookup(function, receiver.id)
            if named is None and receiver.id == "cls":
                own = enclosing_class(function)
                return (own,) if own is not None else ()
        elif isinstance(receiver, ast.Attribute):
            named = self.imported(function.module, self.full_name(function, receiver))
        return (named,) if isinstance(named, Class) else self.types(function, receiver)

    @cached_property
    def _attached(self) -> dict[str, list[tuple[Function, ast.expr, ast.expr]]]:
        """By name: where, on what, and what. What a method puts on `self` is the class's own."""
        found: dict[str, list[tuple[Function, ast.expr, ast.expr]]] = {}
        for function in self.project.functions:
            first = function.parameters[0] if function.cls is not None and function.parameters else None
            for node in function.own:
                if isinstance(node, ast.Call) and dotted(node.func) == "setattr" and len(node.args) == 3:
                    receiver, name, value = node.args
                    if isinstance(name, ast.Constant) and isinstance(name.value, str):
                        found.setdefault(name.value, []).append((function, receiver, value))
                elif isinstance(node, ast.Assign) and isinstance(
                    node.value, ast.Name | ast.Attribute | ast.Call | ast.Lambda
                ):
                    for target in node.targets:
                        if isinstance(target, ast.Attribute) and dotted(target.value) != first:
                            found.setdefault(target.attr, []).append((function, target.value, node.value))
        return found
