"""What methods and functions that stay elsewhere change of modules: attributes of them, flags, and what they hold.

def cool(self): self.drop.p *= 0.9; self.state.n += 1        a module's own method
def after(self): self.model.tau *= 0.9                       a hook's, that holds the model
def freeze(): model.inner.requires_grad_(False)              a function's, by the name around it
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.kept_called import free_in
from lab_migrate.idiomatic.parts import FLAG, Parts
from lab_migrate.idiomatic.reach import functions_reached

__all__ = ["makes_module", "say_elsewhere"]


def say_elsewhere(keeping: Keeping, visited: list[Function], said: set[str]) -> bool:
    """What code that nothing here leads to changes of modules, as a hook that holds one; whether it sets flags."""
    graph, found = keeping.graph, False

    def lose(what: str, function: Function) -> None:
        if what not in said:
            said.add(what)
            keeping.lose(what, f"{function.qualified}() changes it")

    for function in functions_reached(keeping.nest, graph):
        if any(function is one for one in visited):
            continue
        this = function.parameters[0] if function.cls is not None and function.parameters else ""
        around = Parts(function, graph, free_in(function, keeping), visited=visited)
        around.bind(function.own)
        # One by one: what an object of a class is by its type.
        parts = Parts(function, graph, lambda one: {dotted(one)} if dotted(one) else set(), deepest=0)
        if this and function.cls is not None and graph.is_module(function.cls):
            _say_own_parts(keeping, function, this, lose)
        for node in function.own:
            for name, attribute in around.changed(node):
                if name in keeping.roles.models and attribute != FLAG:
                    lose(f"{name}'s {attribute}", function)
                found = found or (name in keeping.roles.models and attribute == FLAG)
            for name, attribute in parts.changed(node):
                of = ast.parse(name, mode="eval").body
                if attribute == FLAG:
                    found = found or not _is_computed(name, function)
                elif name != this and any(graph.is_module(cls) for cls in graph.types(function, of)):
                    lose(f"{name}'s {attribute}", function)
    return found


def makes_module(keeping: Keeping, call: ast.Call) -> bool:
    """Whether a call makes a module of a class of the program's."""
    return any(keeping.graph.is_module(cls) for cls in keeping.graph.types(keeping.base.function, call))


def _say_own_parts(keeping: Keeping, method: Function, this: str, lose: Callable[[str, Function], None]) -> None:
    """What a module's method changes of the objects that it holds, or puts in place of its layers."""
    parts = Parts(
        method, keeping.graph, lambda one: {dotted(one)} if f"{dotted(one)}.".startswith(f"{this}.") else set()
    )
    parts.bind(method.own)
    owner = method.cls.name if method.cls is not None else this
    for node in method.own if method.name != "__init__" else ():
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            head, _, last = dotted(node.value.func).rpartition(".")
            makes = (head.endswith("nn") and last[:1].isupper()) or makes_module(keeping, node.value)
            targets = [dotted(target) for target in node.targets if makes]
            for target in targets:
                if target.startswith(f"{this}."):
                    lose(f"{owner}'s {target.removeprefix(f'{this}.')}", method)
        by_text = isinstance(node, ast.Call)
        for name, attribute in parts.changed(node):
            if attribute != FLAG and (name != this or by_text):
                lose(f"{owner}'s {attribute}", method)


def _is_computed(name: str, function: Function) -> bool:
    """`mixed = a * x + b * y`, whose gradient a penalty asks for."""
    values = function.assigned.get(name, [])
    return bool(values) and not any(isinstance(value, ast.Name | ast.Attribute | ast.Subscript) for value in values)
