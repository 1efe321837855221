"""Which functions of the project a value may be: named, bound to arguments, returned, handed in, held by an object.

    step = lambda x: train_step(net, x)     step = make_step(net)     self.closure = standard_closure()     run(step)

Where a function defines one and returns it, calling what it returned runs that one, wherever the call stands.
"""

from __future__ import annotations

import ast

from lab_migrate.analysis.definitions import MAX_DEPTH, enclosing_class, scopes
from lab_migrate.analysis.instances import Instances
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.analysis.test_files import is_test

__all__ = ["MAX_CANDIDATES", "FunctionValues", "passed"]

#: How many methods, or calls, of one name may be meant.
MAX_CANDIDATES = 6
#: Calls that give their first argument back, bound to others.
_BOUND = ("partial", "functools.partial", "MethodType", "types.MethodType")


class FunctionValues(Instances):
    """Functions as values."""

    def targets(self, function: Function, func: ast.expr) -> list[Function]:
        """The functions that calling `func` in `function` may run."""
        raise NotImplementedError

    def functions(self, function: Function, value: ast.expr, depth: int = 0) -> list[Function]:
        """The functions that an expression in a function's code may be; empty where nothing is known."""
        if depth > MAX_DEPTH:
            return []
        found: list[Function] = []
        if isinstance(value, ast.IfExp):
            found = self.functions(function, value.body, depth) + self.functions(function, value.orelse, depth)
        elif isinstance(value, ast.BoolOp):
            found = [made for one in value.values for made in self.functions(function, one, depth)]
        elif isinstance(value, ast.Name):
            found = self.function_named(function, value.id, depth)
        elif isinstance(value, ast.Call):
            found = self._from_call(function, value, depth)
        elif isinstance(value, ast.Subscript):
            found = self.of_table(function, value.value, depth)
        else:
            found = self.handed(function, value)
            if not found and isinstance(value, ast.Attribute):
                found = self.held(function, value, depth)
        return list(dict.fromkeys(found))

    def handed(self, function: Function, value: ast.expr) -> list[Function]:
        """The functions that an expression names itself: a lambda, a function's name, a method."""
        if isinstance(value, ast.Lambda):
            made = function.module.symbols.function_of(value)
            return [made] if made else []
        if isinstance(value, ast.Name):
            found = self.lookup(function, value.id)
            return [found] if isinstance(found, Function) else []
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and value.value.id in ("self", "cls"):
            cls = enclosing_class(function)
            return self.methods_of((cls,), value.attr) if cls else []
        if isinstance(value, ast.Attribute):
            # `retry_call(model.train)`: a method of something whose class is known, never one found by its name.
            return self.methods_of(self.types(function, value.value), value.attr)
        return []

    def of_table(self, function: Function, table: ast.expr, depth: int = 0) -> list[Function]:
        """The functions that a table holds: `STEPS[name]` may be any of them."""
        return [
            made
            for scope, value in self.entries(function, table, depth)
            for made in self._once(scope, f"[{ast.unparse(value)}]", value, depth)
        ]

    def held(self, function: Function, value: ast.Attribute, depth: int = 0) -> list[Function]:
        """The functions that an object of a known class holds under an attribute: `self.closure = make_closure()`."""
        found: list[Function] = []
        for owner in self.types(function, value.value):
            for cls in [*self.lineage(owner), *self.subclasses(owner)]:
                for method, assigned in cls.attributes.get(value.attr, []):
                    found += self._once(method, f"self.{value.attr}()", assigned, depth)
        return found

    def function_named(self, function: Function, name: str, depth: int = 0) -> list[Function]:
        """The functions that a name may be: defined, assigned, imported, or handed in for a parameter."""
        found = self.lookup(function, name)
        if found is not None:
            return [found] if isinstance(found, Function) else []
        for scope in scopes(function):
            if name in scope.assigned:
                made = [one for value in scope.assigned[name] for one in self._once(scope, f"{name}()", value, depth)]
                return made or self._handed_in(scope, name)
            if name in scope.parameters:
                return self._handed_in(scope, name)
        home, values = self.imported_values(function.module, function.module.symbols.imports.get(name, ""))
        return [one for value in values if home for one in self._once(home.symbols.top, f"{name}()", value, depth)]

    def _once(self, function: Function, name: str, value: ast.expr, depth: int) -> list[Function]:
        """What an assigned value is, unless that is being asked already: a name may be made of itself."""
        key = (id(function), name)
        if key in self.open:
            return []
        self.open.add(key)
        try:
            return self.functions(function, value, depth + 1)
        finally:
            self.open.discard(key)

    def _from_call(self, function: Function, call: ast.Call, depth: int) -> list[Function]:
        """What a call returns: `partial(run_epoch, model=net)`, `MethodType(f, trainer)`, what its function returns."""
        if dotted(call.func) in _BOUND and call.args:
            return self.functions(function, call.args[0], depth + 1)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "get":
            found = self.of_table(function, call.func.value, depth)
            if found:
                return found
        found = []
        for factory in self.targets(function, call.func):
            returned = [node.value for node in factory.own if isinstance(node, ast.Return) and node.value is not None]
            if isinstance(factory.node, ast.Lambda):
                returned = [factory.node.body]
            found += [made for value in returned for made in self._once(factory, "return", value, depth)]
        return found

    def _handed_in(self, scope: Function, name: str) -> list[Function]:
        """A parameter that is called: the functions that callers name for it, found by the called function's name."""
        key = (id(scope), f"{name}=")
        if name not in scope.parameters or key in self.open:
            return []
        calls = self.sites_of(scope)
        if not is_test(scope.path, scope.module):
            calls = [one for one in calls if not is_test(one[0].path, one[0].module)]
        if len(calls) > MAX_CANDIDATES:
            return []
        self.open.add(key)
        try:
            return [
                made for caller, call in calls for value in passed(scope, call, name)
                for made in self.functions(caller, value)
            ]  # fmt: skip
        finally:
            self.open.discard(key)


def passed(function: Function, call: ast.Call, name: str) -> list[ast.expr]:
    """What a call gives for a parameter of the function it calls."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == name]
    at = function.parameters.index(name) - (1 if function.cls is not None and not function.is_static else 0)
    return named or (call.args[at : at + 1] if at >= 0 else [])
