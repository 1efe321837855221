"""What a name means across the files of a project: functions and classes, their bases, their methods."""

from __future__ import annotations

import ast
from functools import cached_property

from lab_migrate.analysis.sources import Module, Project
from lab_migrate.analysis.symbols import Class, Function, dotted, imported_from

__all__ = ["MAX_DEPTH", "Definitions", "enclosing_class", "is_builtin", "scopes"]

#: How many re-exports, assignments or builders are followed.
MAX_DEPTH = 4


class Definitions:
    """Names of a project, resolved on first use."""

    def __init__(self, project: Project) -> None:
        self.project = project

    def lookup(self, function: Function, name: str) -> Function | Class | None:
        """What a bare name means: a nested function, then the file's own, then an import."""
        for scope in scopes(function):
            for other in scope.module.symbols.functions:
                if other.parent is scope and other.name == name and other.cls is None:
                    return other
            if name in scope.parameters or name in scope.assigned:
                return None
        for cls in function.module.symbols.classes:
            if cls.name == name:
                return cls
        module = function.module
        return self.imported(module, module.symbols.imports.get(name, "")) or self._starred(module, name)

    def imported(self, module: Module, full: str, depth: int = 0) -> Function | Class | None:
        """`package.module.name`, followed through re-exports of `__init__.py`."""
        head, _, name = full.rpartition(".")
        if not head or depth > MAX_DEPTH:
            return None
        home = self.project.find_module(head, module)
        if home is None:
            return None
        for function in home.symbols.functions:
            if function.name == name and function.cls is None and function.parent is home.symbols.top:
                return function
        for cls in home.symbols.classes:
            if cls.name == name:
                return cls
        again = home.symbols.imports.get(name, "")
        if again:
            return self.imported(home, again, depth + 1)
        return self._starred(home, name, depth)

    def _starred(self, module: Module, name: str, depth: int = 0) -> Function | Class | None:
        """What a name is that a file has from a `from package import *`."""
        for line in module.tree.body:
            if isinstance(line, ast.ImportFrom) and any(alias.name == "*" for alias in line.names):
                star = imported_from(line, module)
                found = self.imported(module, f"{star}.{name}", depth + 1) if star else None
                if found is not None:
                    return found
        return None

    def full_name(self, function: Function, func: ast.Attribute) -> str:
        """What `module.name` in a function's code names in full; empty where the head is no import."""
        head, _, rest = dotted(func).partition(".")
        full = function.module.symbols.imports.get(head, "")
        return f"{full}.{rest}" if full and rest else ""

    def find_method(self, cls: Class, name: str) -> Function | None:
        """A method of a class or of the nearest base that has it."""
        for one in self.lineage(cls):
            if name in one.methods:
                return one.methods[name]
        return None

    def methods_of(self, classes: tuple[Class, ...], name: str, overrides: bool = True) -> list[Function]:
        """The methods of this name that an instance of these classes may have; `__call__` is `forward`, too."""
        found: list[Function] = []
        for cls in classes:
            names = (name, "forward") if name == "__call__" else (name,)
            for one in names:
                method = self.find_method(cls, one)
                if method is not None and method not in found:
                    found.append(method)
                for sub in self.subclasses(cls) if overrides else ():
                    if one in sub.methods and sub.methods[one] not in found:
                        found.append(sub.methods[one])
        return found

    def lineage(self, cls: Class) -> list[Class]:
        """The class and its bases within the project, nearest first."""
        found: list[Class] = []
        queue = [cls]
        while queue:
            one = queue.pop(0)
            if one not in found:
                found.append(one)
                queue += self.bases(one)
        return found

    def is_module(self, cls: Class) -> bool:
        """Whether a class of the project's is a module of torch's, as far as its bases tell."""
        return any(base.rpartition(".")[2] == "Module" for one in self.lineage(cls) for base in one.bases)

    def bases(self, cls: Class) -> list[Class]:
        """Its direct bases within the project."""
        top = cls.module.symbols.top
        found = []
        for name in cls.bases:
            head, _, rest = name.partition(".")
            known = (
                self.lookup(top, name) if not rest
                else self.imported(cls.module, f"{cls.module.symbols.imports.get(head, head)}.{rest}")
            )  # fmt: skip
            if isinstance(known, Class) and known is not cls:
                found.append(known)
        return found

    def subclasses(self, cls: Class) -> list[Class]:
        """Every class of the project that inherits from it."""
        return self._subclasses.get(id(cls), [])

    @cached_property
    def _subclasses(self) -> dict[int, list[Class]]:
        found: dict[int, list[Class]] = {}
        for cls in self.project.classes:
            for base in self.lineage(cls)[1:]:
                found.setdefault(id(base), []).append(cls)
        return found


def scopes(function: Function) -> list[Function]:
    """The function and those around it, innermost first."""
    found: list[Function] = []
    one: Function | None = function
    while one is not None:
        found.append(one)
        one = one.parent
    return found


def is_builtin(function: Function, name: str) -> bool:
    """Whether a bare name of Python's own means that here: nothing around binds it, `from … import *` apart."""
    symbols = function.module.symbols
    if name in symbols.imports or any(cls.name == name for cls in symbols.classes):
        return False
    around = scopes(function)
    if any(one.name == name and one.cls is None and one.parent in around for one in symbols.functions):
        return False
    return not any(name in scope.parameters or name in scope.assigned for scope in around)


def enclosing_class(function: Function) -> Class | None:
    """The class in whose methods this code stands."""
    return next((scope.cls for scope in scopes(function) if scope.cls is not None), None)
