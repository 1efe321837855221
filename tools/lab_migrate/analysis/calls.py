"""Who calls whom, across the files of a project: names, methods, inherited and overriding methods, instances, closures.

Where a receiver's class is not known, a method is found by its name if few classes have it. An edge means "may call";
what is missing is missing.
"""

from __future__ import annotations

import ast
import re
from functools import cached_property

import attrs

from lab_migrate.analysis.attached import Attached
from lab_migrate.analysis.common_methods import COMMON
from lab_migrate.analysis.definitions import enclosing_class, scopes
from lab_migrate.analysis.elements import elements
from lab_migrate.analysis.function_values import MAX_CANDIDATES
from lab_migrate.analysis.sources import Project
from lab_migrate.analysis.symbols import Class, Function, dotted
from lab_migrate.analysis.test_files import is_test

__all__ = ["Call", "CallGraph"]

#: How many methods of one name a call may mean of what a config builds, however common the name.
MAX_BUILT = 24
#: Calls whose result's class stands in a config: `hydra.utils.instantiate(cfg.agent)`, `construct_class_by_name(**kw)`.
_FROM_CONFIG = re.compile(
    r"instantiate|by_name|from_(config|cfg)$|import_class|get_obj|create_obj|load_obj|locate$", re.IGNORECASE
)


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


class CallGraph(Attached):
    """Calls of a project, resolved on first use."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._calls: dict[int, list[Call]] = {}

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
                handed = self.handed(function, value)
                if handed and not (targets and all(self._calls_its(target, node, value, handed) for target in targets)):
                    found.append(Call(function, value, tuple(handed), direct=False))
        return found

    def targets(self, function: Function, func: ast.expr) -> list[Function]:
        """The functions that calling `func` in `function` may run."""
        if isinstance(func, ast.Name):
            return self._named(function, func.id)
        if isinstance(func, ast.Attribute):
            return self._method(function, func)
        if isinstance(func, ast.Subscript):
            return self.methods_of(self.classes(function, func), "__init__", overrides=False) or self.of_table(
                function, func.value
            )
        if isinstance(func, ast.Call):
            return self.methods_of(self.types(function, func), "__call__") or self.functions(function, func)
        return []

    def callers_of(self, function: Function) -> list[Call]:
        """Every call in the project that may run this function."""
        return self._callers.get(id(function), [])

    @cached_property
    def hooks(self) -> list[Call]:
        """Functions that are handed to `register_hook` and its like of tensors, which a backward pass calls."""
        names = ("register_hook", "register_post_accumulate_grad_hook")
        sites = [site for name in names for site in self.sites_by_name.get(name, [])]
        return [one for caller, call in sites for one in self.calls_in(caller, [call]) if not one.direct]

    @cached_property
    def _callers(self) -> dict[int, list[Call]]:
        found: dict[int, list[Call]] = {}
        for function in self.project.functions:
            for call in self.calls_of(function):
                for target in call.targets:
                    found.setdefault(id(target), []).append(call)
        return found

    def _named(self, function: Function, name: str) -> list[Function]:
        found = self.lookup(function, name)
        if isinstance(found, Function):
            return [found]
        if isinstance(found, Class):
            return self.methods_of((found,), "__init__", overrides=False)
        # A variable: a function under another name, or an instance that is called.
        return self.function_named(function, name) or self.methods_of(
            self.types(function, ast.Name(name, ast.Load())), "__call__"
        )

    def _method(self, function: Function, func: ast.Attribute) -> list[Function]:
        name = func.attr
        receiver = func.value
        if isinstance(receiver, ast.Call) and dotted(receiver.func) == "super":
            cls = enclosing_class(function)
            found = [m for base in self.bases(cls) if (m := self.find_method(base, name))] if cls else []
            return found[:1]
        imported = self.imported(function.module, self.full_name(function, func))
        if isinstance(imported, Function):
            return [imported]
        if isinstance(imported, Class):
            return self.methods_of((imported,), "__init__", overrides=False)
        known = self.types(function, receiver)
        if known:
            typed = [*self.methods_of(known, name), *self.attached(known, name)]
            if typed:
                return list(dict.fromkeys(typed))
            # `self.criterion(...)`: an attribute that is itself called.
            return self.methods_of(self.types(function, func), "__call__") or self.held(function, func)
        instance = self.types(function, func)
        if instance:
            return self.methods_of(instance, "__call__")
        built = self._is_built_from_config(function, receiver)
        if (name in COMMON and not built) or name.startswith("__"):
            listed = [one for scope, value in elements(function, receiver) for one in self.types(scope, value)]
            return self.methods_of((*self.annotated(function, receiver), *listed), name)
        named = self._by_name.get(name, [])
        if not is_test(function.path, function.module):
            named = [method for method in named if not is_test(method.path, method.module)]
        if len(named) <= (MAX_BUILT if built else MAX_CANDIDATES):
            return named
        families = {id(self.lineage(method.cls)[-1]) for method in named if method.cls is not None}
        return named if len(families) <= MAX_CANDIDATES // 2 else []

    def _is_built_from_config(self, function: Function, receiver: ast.expr) -> bool:
        """Whether a name or attribute is assigned what a config's builder gives, whose class nobody can read here.

        By its name, or since the class stands in a mapping: `cls = config["trainer"]`, `cls(**config)`.
        """
        values: list[ast.expr] = [receiver]
        if isinstance(receiver, ast.Name):
            values = next((one.assigned[receiver.id] for one in scopes(function) if receiver.id in one.assigned), [])
            values = values or [value for _, value in elements(function, receiver)]
        elif isinstance(receiver, ast.Attribute):
            owners = self.types(function, receiver.value)
            values = [value for cls in owners for one in self.lineage(cls)
                      for _, value in one.attributes.get(receiver.attr, [])]  # fmt: skip
        return any(
            _FROM_CONFIG.search(dotted(one.func)) or _is_looked_up(function, one.func)
            for one in values
            if isinstance(one, ast.Call)
        )

    def _calls_its(self, target: Function, call: ast.Call, value: ast.expr, handed: list[Function]) -> bool:
        """Whether a function calls what a call gives it here, in its own code: there it is called, not by who gives it.

        As `run_epoch(loader, step_fn=self.train_step)`, which loops over batches and calls `step_fn(batch)`. One that
        is given functions by so many that none is told there (`launch(main)` of each script) calls none of them.
        """
        at = next((index for index, one in enumerate(call.args) if one is value), None)
        if at is not None:
            at += 1 if target.cls is not None and not target.is_static else 0
            names = target.parameters[at : at + 1] if not any(isinstance(one, ast.Starred) for one in call.args) else []
        else:
            names = [keyword.arg for keyword in call.keywords if keyword.value is value and keyword.arg is not None]
        called = [node.func for node in target.own if isinstance(node, ast.Call) and dotted(node.func) in names]
        return any(one in self.targets(target, func) for func in called for one in handed)

    @cached_property
    def _by_name(self) -> dict[str, list[Function]]:
        found: dict[str, list[Function]] = {}
        for cls in self.project.classes:
            for name, method in cls.methods.items():
                found.setdefault(name, []).append(method)
        return found


def _is_looked_up(function: Function, func: ast.expr) -> bool:
    """Whether what is called stands in a config under a key that is written there, here or by a name for it.

    What is chosen by a name (`TABLE[name]`) stands in a table, whose entries are read elsewhere.
    """
    values = [func]
    if isinstance(func, ast.Name):
        values = next((one.assigned[func.id] for one in scopes(function) if func.id in one.assigned), [])
    return any(isinstance(one, ast.Subscript) and isinstance(one.slice, ast.Constant) for one in values)
