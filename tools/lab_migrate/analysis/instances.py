"""Of which class of the project a value is an instance: where it is built, handed over, stored or returned.

Python tells no types, so a class is inferred where an instance is made (`x = Net(…)`, `self.x = Net(…)`, a
parameter's arguments at its call sites, what a builder returns); empty where nothing is known.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from functools import cached_property

from lab_migrate.analysis.class_values import ClassValues
from lab_migrate.analysis.definitions import MAX_DEPTH, enclosing_class, scopes
from lab_migrate.analysis.sources import Project
from lab_migrate.analysis.symbols import Class, Function, dotted

__all__ = ["SAME_MODULE", "Instances"]

#: Methods of modules that return the module.
SAME_MODULE = frozenset({"cpu", "cuda", "double", "eval", "float", "half", "requires_grad_", "to", "train"})

_ANY_OF = ("Optional", "Union", "Annotated")


class Instances(ClassValues):
    """Classes of values."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._types: dict[tuple[int, str, int], tuple[Class, ...]] = {}

    def types(self, function: Function, value: ast.expr, depth: int = 0) -> tuple[Class, ...]:
        """Classes of the project whose instance an expression may be; empty where nothing is known."""
        if depth > MAX_DEPTH:
            return ()
        if isinstance(value, ast.Await):
            return self.types(function, value.value, depth)
        if isinstance(value, ast.IfExp):
            return self.types(function, value.body, depth) + self.types(function, value.orelse, depth)
        if isinstance(value, ast.BoolOp):
            return tuple(cls for one in value.values for cls in self.types(function, one, depth))
        if isinstance(value, ast.Call):
            return self._made_by(function, value, depth)
        if isinstance(value, ast.Name):
            return self._type_of_name(function, value.id, depth)
        if isinstance(value, ast.Attribute):
            return self._type_of_attribute(function, value, depth)
        return ()

    def _made_by(self, function: Function, call: ast.Call, depth: int) -> tuple[Class, ...]:
        if isinstance(call.func, ast.Name):
            found = self.lookup(function, call.func.id)
        elif isinstance(call.func, ast.Attribute):
            if call.func.attr in SAME_MODULE:
                return self.types(function, call.func.value, depth + 1)
            if call.func.attr in ("build", "create") and (registered := self.registered(call.func.value)):
                return tuple(registered)
            found = self.imported(function.module, self.full_name(function, call.func))
            if found is None and (owned := self._made_by_owner(function, call.func, depth)):
                return owned
        else:
            return self.classes(function, call.func, depth + 1)
        if isinstance(found, Class):
            return (found,)
        if isinstance(found, Function):
            return self._instances_of(found, depth)
        return self.classes(function, call.func, depth + 1)

    def _made_by_owner(self, function: Function, func: ast.Attribute, depth: int) -> tuple[Class, ...]:
        """What `self.build_model()` returns; of `self.Optimizer()` the class, where it stands in the object's."""
        owners = self.types(function, func.value, depth + 1) or self.annotated(function, func.value)
        inside = [
            cls
            for one in dict.fromkeys(base for owner in owners for base in self.lineage(owner))
            for node in one.node.body
            if isinstance(node, ast.ClassDef) and node.name == func.attr
            for cls in one.module.symbols.classes
            if cls.node is node
        ]
        if inside:
            return tuple(inside[:1])
        return tuple(cls for method in self.methods_of(owners, func.attr) for cls in self._instances_of(method, depth))

    def _instances_of(self, function: Function, depth: int) -> tuple[Class, ...]:
        key = (id(function), "return")
        if key in self.open:
            return ()
        self.open.add(key)
        try:
            values = [node.value for node in function.own if isinstance(node, ast.Return) and node.value is not None]
            return tuple(cls for value in values for cls in self.types(function, value, depth + 1))
        finally:
            self.open.discard(key)

    def _type_of_name(self, function: Function, name: str, depth: int) -> tuple[Class, ...]:
        if name in ("self", "cls"):
            cls = enclosing_class(function)
            return (cls,) if cls else ()
        key = (id(function), name)
        if key in self.open:
            return ()
        cached = (id(function), name, depth)
        if cached in self._types:
            return self._types[cached]
        self.open.add(key)
        try:
            found: list[Class] = []
            for scope in scopes(function):
                values = scope.assigned.get(name, [])
                found += [cls for value in values for cls in self.types(scope, value, depth + 1)]
                if values or name in scope.parameters:
                    if name in scope.parameters:
                        found += self._type_of_parameter(scope, name, depth)
                    break
        finally:
            self.open.discard(key)
        self._types[cached] = tuple(dict.fromkeys(found))
        return self._types[cached]

    def _type_of_parameter(self, function: Function, name: str, depth: int) -> list[Class]:
        """The classes of what call sites pass; call sites are found by the function's own name, to stay cheap."""
        position = function.parameters.index(name)
        bound = function.cls is not None and not function.is_static
        found: list[Class] = []
        for caller, call in self.sites_of(function):
            value = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
            index = position - 1 if bound else position
            if value is None and 0 <= index < len(call.args):
                value = call.args[index]
            if value is not None and not isinstance(value, ast.Starred):
                found += self.types(caller, value, depth + 1)
        return found

    def annotated(self, function: Function, value: ast.expr) -> tuple[Class, ...]:
        """The classes that the annotation of a parameter names, or of one that an attribute is assigned."""
        if isinstance(value, ast.Name):
            owner = next((scope for scope in scopes(function) if value.id in scope.parameters), None)
            arguments = getattr(owner.node, "args", None) if owner is not None else None
            if owner is None or arguments is None:
                return ()
            every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
            given = next((one.annotation for one in every if one.arg == value.id), None)
            return tuple(self._named_in(owner, given)) if given is not None else ()
        if not isinstance(value, ast.Attribute):
            return ()
        return tuple(
            cls
            for owner in self.types(function, value.value)
            for one in self.lineage(owner)
            for method, assigned in one.attributes.get(value.attr, [])
            if isinstance(assigned, ast.Name)
            for cls in self.annotated(method, assigned)
        )

    def _named_in(self, function: Function, annotation: ast.expr) -> Iterator[Class]:
        """Also in `Task | None`, `Optional[Task]` and text; a `list[Task]` is none."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            with contextlib.suppress(SyntaxError):
                yield from self._named_in(function, ast.parse(annotation.value, mode="eval").body)
        elif isinstance(annotation, ast.BinOp):
            yield from self._named_in(function, annotation.left)
            yield from self._named_in(function, annotation.right)
        elif isinstance(annotation, ast.Subscript):
            if dotted(annotation.value).rpartition(".")[2] in _ANY_OF:
                inner = annotation.slice
                for one in inner.elts if isinstance(inner, ast.Tuple) else [inner]:
                    yield from self._named_in(function, one)
        elif isinstance(annotation, ast.Name | ast.Attribute):
            found = (
                self.lookup(function, annotation.id)
                if isinstance(annotation, ast.Name)
                else self.imported(function.module, self.full_name(function, annotation))
            )
            if isinstance(found, Class):
                yield found

    def sites_of(self, function: Function) -> list[tuple[Function, ast.Call]]:
        """Calls that may be of this function, by its name; of an `__init__` by its class, and those that inherit it."""
        if function.cls is None or function.name != "__init__":
            return self.sites_by_name.get(function.name, [])
        below = self.subclasses(function.cls)
        inherit = [cls for cls in below if self.find_method(cls, "__init__") is function]
        names = dict.fromkeys(cls.name for cls in (function.cls, *inherit))
        found = [site for name in names for site in self.sites_by_name.get(name, [])]
        # `super().__init__(step)` of a class below.
        return found + [site for site in self.sites_by_name.get("__init__", []) if site[0].cls in below]

    @cached_property
    def sites_by_name(self) -> dict[str, list[tuple[Function, ast.Call]]]:
        """Calls of the project by the last part of what they call, with their functions."""
        found: dict[str, list[tuple[Function, ast.Call]]] = {}
        for function in self.project.functions:
            for node in function.own:
                if isinstance(node, ast.Call):
                    name = dotted(node.func).rpartition(".")[2]
                    if name:
                        found.setdefault(name, []).append((function, node))
        return found

    def _type_of_attribute(self, function: Function, value: ast.Attribute, depth: int) -> tuple[Class, ...]:
        found: list[Class] = []
        for owner in self.types(function, value.value, depth + 1):
            for cls in [*self.lineage(owner), *self.subclasses(owner)]:
                for method, assigned in cls.attributes.get(value.attr, []):
                    key = (id(method), f"self.{value.attr}")
                    if key in self.open:
                        continue
                    self.open.add(key)
                    try:
                        found += self.types(method, assigned, depth + 1)
                    finally:
                        self.open.discard(key)
        return tuple(dict.fromkeys(found))
