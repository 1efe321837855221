"""Who calls whom, across the files of a project: names, methods, inherited and overriding methods, instances, closures.

Python tells no types, so a receiver's class is inferred where it is built (`x = Net(…)`, `self.x = Net(…)`, a
parameter's arguments at its call sites, what a builder returns); where that says nothing, a method is found by its
name if few classes have it. An edge means "may call"; what is missing (registries, `getattr`) is missing.
"""

from __future__ import annotations

import ast
from functools import cached_property

import attrs

from lab_migrate.analysis.sources import Module, Project
from lab_migrate.analysis.symbols import Class, Function, dotted, imported_from

#: Methods that so many classes have that a name alone says nothing.
_COMMON = frozenset(
    [
        "add",
        "append",
        "apply",
        "backward",
        "build",
        "call",
        "clear",
        "clone",
        "close",
        "copy",
        "cpu",
        "cuda",
        "detach",
        "display",
        "eval",
        "extend",
        "filter",
        "flush",
        "format",
        "get",
        "infer",
        "init",
        "insert",
        "item",
        "items",
        "iter",
        "join",
        "keys",
        "load",
        "load_state_dict",
        "log",
        "map",
        "max",
        "mean",
        "min",
        "next",
        "numpy",
        "open",
        "parse",
        "pop",
        "print",
        "put",
        "read",
        "record",
        "register",
        "remove",
        "render",
        "reset",
        "reshape",
        "result",
        "save",
        "send",
        "set",
        "set_epoch",
        "setup",
        "size",
        "sleep",
        "sort",
        "split",
        "start",
        "state_dict",
        "step",
        "stop",
        "sub",
        "sum",
        "summary",
        "to",
        "tolist",
        "train",
        "update",
        "values",
        "view",
        "wait",
        "write",
        "zero",
        "zero_grad",
        "forward",
        "parameters",
        "named_parameters",
        "modules",
        "children",
        "report",
        "info",
        "debug",
        "warning",
        "error",
        "exception",
    ]
)
MAX_CANDIDATES = 6
MAX_DEPTH = 4


@attrs.frozen(eq=False)
class Call:
    """A call (or a function passed as a value) in a function's code, and where it may lead."""

    caller: Function
    node: ast.AST
    targets: tuple[Function, ...]
    #: False where a function is only handed over, as in `optimizer.step(closure)`.
    direct: bool = True

    @property
    def line(self) -> int:
        """Where."""
        return getattr(self.node, "lineno", 0)


class CallGraph:
    """Calls of a project, resolved on first use."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._calls: dict[int, list[Call]] = {}
        self._types: dict[tuple[int, str, int], tuple[Class, ...]] = {}
        self._open: set[tuple[int, str]] = set()

    def calls_of(self, function: Function) -> list[Call]:
        """Calls in a function's own code, in source order; those that lead nowhere known are left out."""
        key = id(function)
        if key not in self._calls:
            self._calls[key] = self.calls_in(function, function.own)
        return self._calls[key]

    def calls_in(self, function: Function, nodes: list[ast.AST]) -> list[Call]:
        """Calls among some nodes of a function's code."""
        found = []
        for node in nodes:
            if not isinstance(node, ast.Call):
                continue
            targets = self.targets(function, node.func)
            if targets:
                found.append(Call(function, node, tuple(targets)))
            for value in [*node.args, *(keyword.value for keyword in node.keywords)]:
                handed = self._functions_handed(function, value)
                if handed:
                    found.append(Call(function, value, tuple(handed), direct=False))
        return found

    def targets(self, function: Function, func: ast.expr) -> list[Function]:
        """The functions that calling `func` in `function` may run."""
        if isinstance(func, ast.Name):
            return self._named(function, func.id)
        if isinstance(func, ast.Attribute):
            return self._method(function, func)
        if isinstance(func, ast.Call | ast.Subscript):
            return self._methods_of(self.types(function, func), "__call__")
        return []

    def callers_of(self, function: Function) -> list[Call]:
        """Every call in the project that may run this function."""
        return self._callers.get(id(function), [])

    @cached_property
    def _callers(self) -> dict[int, list[Call]]:
        found: dict[int, list[Call]] = {}
        for function in self.project.functions:
            for call in self.calls_of(function):
                for target in call.targets:
                    found.setdefault(id(target), []).append(call)
        return found

    # ---- names

    def _functions_handed(self, function: Function, value: ast.expr) -> list[Function]:
        if isinstance(value, ast.Lambda):
            made = function.module.symbols.function_of(value)
            return [made] if made else []
        if isinstance(value, ast.Name):
            found = self._lookup(function, value.id)
            return [found] if isinstance(found, Function) else []
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and value.value.id in ("self", "cls"):
            cls = _enclosing_class(function)
            return self._methods_of((cls,), value.attr) if cls else []
        if isinstance(value, ast.Attribute):
            # `retry_call(model.train)`: a method of something whose class is known, never one found by its name.
            return self._methods_of(self.types(function, value.value), value.attr)
        return []

    def _named(self, function: Function, name: str) -> list[Function]:
        found = self._lookup(function, name)
        if isinstance(found, Function):
            return [found]
        if isinstance(found, Class):
            return self._methods_of((found,), "__init__", overrides=False)
        # A variable: an instance that is called, or a function under another name.
        direct = [
            target
            for scope in _scopes(function)
            for value in scope.assigned.get(name, [])
            if isinstance(value, ast.Name) and value.id != name
            for target in self._named(scope, value.id)
        ]
        return (
            direct
            or self._made_by_factories(function, name)
            or self._handed_in(function, name)
            or self._methods_of(self.types(function, ast.Name(name, ast.Load())), "__call__")
        )

    def _made_by_factories(self, function: Function, name: str) -> list[Function]:
        """`step_fn = get_step_fn(…)`, where that returns a function it defines."""
        key = (id(function), f"{name}()")
        if key in self._open:
            return []
        self._open.add(key)
        try:
            return [
                made
                for scope in _scopes(function)
                for value in scope.assigned.get(name, [])
                if isinstance(value, ast.Call)
                for factory in self.targets(scope, value.func)
                for made in _functions_returned(factory)
            ]
        finally:
            self._open.discard(key)

    def _handed_in(self, function: Function, name: str) -> list[Function]:
        """A parameter that is called: the functions that callers name for it, found by the called function's name."""
        key = (id(function), f"{name}=")
        scope = next((one for one in _scopes(function) if name in one.parameters), None)
        if scope is None or key in self._open:
            return []
        calls = self._calls_by_name.get(scope.name, [])
        if len(calls) > MAX_CANDIDATES:
            return []
        self._open.add(key)
        try:
            return [
                made
                for caller, call in calls
                for value in _passed(scope, call, name)
                for made in self._functions_handed(caller, value) or self._variable(caller, value)
            ]
        finally:
            self._open.discard(key)

    def _variable(self, caller: Function, value: ast.expr) -> list[Function]:
        return self._made_by_factories(caller, value.id) if isinstance(value, ast.Name) else []

    @cached_property
    def _calls_by_name(self) -> dict[str, list[tuple[Function, ast.Call]]]:
        found: dict[str, list[tuple[Function, ast.Call]]] = {}
        for function in self.project.functions:
            for node in function.own:
                if isinstance(node, ast.Call) and (called := dotted(node.func)):
                    found.setdefault(called.rpartition(".")[2], []).append((function, node))
        return found

    def _lookup(self, function: Function, name: str) -> Function | Class | None:
        """What a bare name means: a nested function, then the file's own, then an import."""
        for scope in _scopes(function):
            for other in scope.module.symbols.functions:
                if other.parent is scope and other.name == name and other.cls is None:
                    return other
            if name in scope.parameters or name in scope.assigned:
                return None
        for cls in function.module.symbols.classes:
            if cls.name == name:
                return cls
        return self._imported(function.module, function.module.symbols.imports.get(name, ""))

    def _imported(self, module: Module, full: str, depth: int = 0) -> Function | Class | None:
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
            return self._imported(home, again, depth + 1)
        for line in home.tree.body:
            if isinstance(line, ast.ImportFrom) and any(alias.name == "*" for alias in line.names):
                star = imported_from(line, home)
                found = self._imported(home, f"{star}.{name}", depth + 1) if star else None
                if found is not None:
                    return found
        return None

    # ---- methods

    def _method(self, function: Function, func: ast.Attribute) -> list[Function]:
        name = func.attr
        receiver = func.value
        if isinstance(receiver, ast.Call) and dotted(receiver.func) == "super":
            cls = _enclosing_class(function)
            found = [m for base in self.bases(cls) if (m := self.find_method(base, name))] if cls else []
            return found[:1]
        imported = self._imported(function.module, self._full_name(function, func))
        if isinstance(imported, Function):
            return [imported]
        if isinstance(imported, Class):
            return self._methods_of((imported,), "__init__", overrides=False)
        known = self.types(function, receiver)
        if known:
            typed = self._methods_of(known, name)
            if typed:
                return typed
            # `self.criterion(...)`: an attribute that is itself called.
            return self._methods_of(self.types(function, func), "__call__")
        instance = self.types(function, func)
        if instance:
            return self._methods_of(instance, "__call__")
        if name in _COMMON or name.startswith("__"):
            return []
        named = self._by_name.get(name, [])
        if not is_test(function.path, function.module):
            named = [method for method in named if not is_test(method.path, method.module)]
        if len(named) <= MAX_CANDIDATES:
            return named
        families = {id(self.lineage(method.cls)[-1]) for method in named if method.cls is not None}
        return named if len(families) <= MAX_CANDIDATES // 2 else []

    def _full_name(self, function: Function, func: ast.Attribute) -> str:
        head, _, rest = dotted(func).partition(".")
        full = function.module.symbols.imports.get(head, "")
        return f"{full}.{rest}" if full and rest else ""

    @cached_property
    def _by_name(self) -> dict[str, list[Function]]:
        found: dict[str, list[Function]] = {}
        for cls in self.project.classes:
            for name, method in cls.methods.items():
                found.setdefault(name, []).append(method)
        return found

    def _methods_of(self, classes: tuple[Class, ...], name: str, overrides: bool = True) -> list[Function]:
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

    def find_method(self, cls: Class, name: str) -> Function | None:
        """A method of a class or of the nearest base that has it."""
        for one in self.lineage(cls):
            if name in one.methods:
                return one.methods[name]
        return None

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

    def bases(self, cls: Class) -> list[Class]:
        """Its direct bases within the project."""
        top = cls.module.symbols.top
        found = []
        for name in cls.bases:
            head, _, rest = name.partition(".")
            known = (
                self._lookup(top, name) if not rest
                else self._imported(cls.module, f"{cls.module.symbols.imports.get(head, head)}.{rest}")
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

    # ---- types

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
            found = self._lookup(function, call.func.id)
        elif isinstance(call.func, ast.Attribute):
            if call.func.attr in ("to", "cuda", "cpu", "float", "double", "half", "eval", "train"):
                return self.types(function, call.func.value, depth + 1)
            found = self._imported(function.module, self._full_name(function, call.func))
        else:
            return ()
        if isinstance(found, Class):
            return (found,)
        if isinstance(found, Function):
            return tuple(
                cls
                for node in found.own
                if isinstance(node, ast.Return) and node.value is not None
                for cls in self.types(found, node.value, depth + 1)
            )
        return ()

    def _type_of_name(self, function: Function, name: str, depth: int) -> tuple[Class, ...]:
        if name in ("self", "cls"):
            cls = _enclosing_class(function)
            return (cls,) if cls else ()
        key = (id(function), name)
        if key in self._open:
            return ()
        cached = (id(function), name, depth)
        if cached in self._types:
            return self._types[cached]
        self._open.add(key)
        try:
            found: list[Class] = []
            for scope in _scopes(function):
                values = scope.assigned.get(name, [])
                found += [cls for value in values for cls in self.types(scope, value, depth + 1)]
                if values or name in scope.parameters:
                    if name in scope.parameters:
                        found += self._type_of_parameter(scope, name, depth)
                    break
        finally:
            self._open.discard(key)
        self._types[cached] = tuple(dict.fromkeys(found))
        return self._types[cached]

    def _type_of_parameter(self, function: Function, name: str, depth: int) -> list[Class]:
        """The classes of what call sites pass; call sites are found by the function's own name, to stay cheap."""
        position = function.parameters.index(name)
        bound = function.cls is not None and not function.is_static
        found: list[Class] = []
        for caller, call in self._sites_by_name.get(_called_as(function), []):
            value = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
            index = position - 1 if bound else position
            if value is None and 0 <= index < len(call.args):
                value = call.args[index]
            if value is not None and not isinstance(value, ast.Starred):
                found += self.types(caller, value, depth + 1)
        return found

    @cached_property
    def _sites_by_name(self) -> dict[str, list[tuple[Function, ast.Call]]]:
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
                    if key in self._open:
                        continue
                    self._open.add(key)
                    try:
                        found += self.types(method, assigned, depth + 1)
                    finally:
                        self._open.discard(key)
        return tuple(dict.fromkeys(found))


def is_test(path: str, module: Module | None = None) -> bool:
    """Whether a file tests the project rather than being it; by its name alone, unless its text is at hand.

    `add_test.py` that defines no test and imports no test library is a script like any other.
    """
    *folders, name = path.split("/")
    if {"tests", "test"} & {*folders} or name == "conftest.py":
        return True
    named = name.startswith("test_") or name.endswith("_test.py")
    return named and (module is None or _tests_something(module))


def _passed(function: Function, call: ast.Call, name: str) -> list[ast.expr]:
    """What a call gives for a parameter of the function it calls."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == name]
    at = function.parameters.index(name) - (1 if function.cls is not None and not function.is_static else 0)
    return named or (call.args[at : at + 1] if at >= 0 else [])


def _functions_returned(factory: Function) -> list[Function]:
    """The functions that a function defines in its own code and returns by name."""
    names = {node.value.id for node in factory.own if isinstance(node, ast.Return) and isinstance(node.value, ast.Name)}
    inner = factory.module.symbols.functions if names else []
    return [one for one in inner if one.parent is factory and one.name in names]


def _tests_something(module: Module) -> bool:
    imported = {full.split(".")[0] for full in module.symbols.imports.values()}
    names = [function.name for function in module.symbols.functions] + [cls.name for cls in module.symbols.classes]
    return bool(imported & {"pytest", "unittest"}) or any(name.startswith(("test_", "Test")) for name in names)


def _scopes(function: Function) -> list[Function]:
    """The function and those around it, innermost first."""
    found: list[Function] = []
    one: Function | None = function
    while one is not None:
        found.append(one)
        one = one.parent
    return found


def _enclosing_class(function: Function) -> Class | None:
    return next((scope.cls for scope in _scopes(function) if scope.cls is not None), None)


def _called_as(function: Function) -> str:
    if function.cls is not None and function.name == "__init__":
        return function.cls.name
    return function.name
