"""The weights under another name: an average made from the model, one of its layers, its parameters in a list.

    ema = ExponentialMovingAverage(model.parameters(), decay=0.9)
    for x, y in loader: … optimizer.step(); ema.update()

What looks at such a thing, or calls it, sees what the step has changed: it stays behind the step.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.definitions import enclosing_class
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Class, Function, dotted, own_nodes
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.quiet import is_quiet_call
from lab_migrate.idiomatic.roles import Roles
from lab_migrate.idiomatic.trained import trained

__all__ = ["Weighted"]

#: Methods of a module that give its parts; what it computes is none of them.
_PARTS = frozenset(
    {"parameters", "named_parameters", "buffers", "named_buffers", "modules", "named_modules", "children",
     "named_children", "get_parameter", "get_submodule", "state_dict"}
)  # fmt: skip
#: Methods that put something into what has them.
_PUTS = frozenset({"append", "appendleft", "add", "extend", "insert", "setdefault", "update"})
#: Builtins and errors that a meter's method calls.
_LOOKS = frozenset({"hasattr", "getattr", "super", "setattr", "type", "ValueError", "TypeError", "AssertionError"})
#: How many names are followed from one to what it was made from.
_DEPTH = 4


@attrs.define(eq=False)
class Weighted:
    """What of a nest's names holds the weights of its models, or something that was made from them."""

    nest: Nest
    roles: Roles
    graph: CallGraph
    _roles: frozenset[str] = attrs.field(init=False)
    #: What the optimizers train by name.
    _trained: frozenset[str] = attrs.field(init=False)
    _held: dict[tuple[int, str], bool] = attrs.field(factory=dict)
    _given: dict[int, dict[str, list[ast.expr]]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._trained = frozenset(trained(self.nest, self.roles.optimizers, self.graph)) - {*self.roles.models}
        self._roles = frozenset({*self.roles.models, *self.roles.optimizers, *self._trained})

    def is_read(self, node: ast.stmt, frame: Frame) -> bool:
        """Whether a statement looks at such a name, or calls a method of the project's that does more than count."""
        for one in own_nodes([node]):
            is_loaded = isinstance(one, ast.Name | ast.Attribute) and isinstance(one.ctx, ast.Load)
            if is_loaded and dotted(one) and (self._holds(dotted(one), frame) or frame.canonical(one) in self._trained):
                return True
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute):
                targets = self.graph.targets(frame.function, one.func)
                if not all(self._only_counts(target, ()) for target in targets):
                    return True
        return False

    def _holds(self, name: str, frame: Frame, depth: int = 0) -> bool:
        key = (id(frame), name)
        if key not in self._held:
            self._held[key] = False
            self._held[key] = any(
                self._gives(value, home, inside, depth) for value, home, inside in self._values(name, frame)
            )
        return self._held[key]

    def _gives(self, value: ast.expr, frame: Frame, inside: bool, depth: int) -> bool:
        """Whether an expression gives weights: within the batch's loop a part of a model, before it anything of one."""
        if not inside:
            parts = (one for one in ast.walk(value) if isinstance(one, ast.Name | ast.Attribute))
            return any(self._is_of_model(one, frame, depth) for one in parts)
        while isinstance(value, ast.Attribute | ast.Subscript) or _is_part(value):
            value = value.func.value if isinstance(value, ast.Call) else value.value  # type: ignore[attr-defined]
            if self._is_of_model(value, frame, depth):
                return True
        return False

    def _is_of_model(self, node: ast.AST, frame: Frame, depth: int) -> bool:
        if frame.canonical(node) in self._roles:
            return True
        return bool(dotted(node)) and depth < _DEPTH and self._holds(dotted(node), frame, depth + 1)

    def _values(self, name: str, frame: Frame) -> Iterator[tuple[ast.expr, Frame, bool]]:
        """What a name is assigned, in which frame, and whether within the batch's loop."""
        head = name.partition(".")[0]
        if head in frame.arguments and frame.base is not None:
            if head == name:
                yield frame.arguments[head], frame.base, False
            return
        top = frame.module.symbols.top
        others = [one for one in frame.module.symbols.functions if head in names_in(one.body).globals_]
        for owner in dict.fromkeys([frame.function, self.nest.base.function, top, *others]):
            for value in self._kept(owner).get(name, ()):
                yield value, frame if owner is frame.function else self.nest.base, self._is_inside(owner, value)
        cls = enclosing_class(frame.function)
        if cls is not None and head in frame.function.parameters[:1]:
            yield from self._attributes(cls, name.partition(".")[2])

    def _is_inside(self, owner: Function, value: ast.expr) -> bool:
        """Whether it is what a model computes: all that batches and what follows them make, and no average."""
        return owner is self.nest.train.frame.function and value.lineno >= self.nest.train.node.lineno

    def _kept(self, owner: Function) -> dict[str, list[ast.expr]]:
        """What a function's names are given, or what is put into them."""
        if id(owner) not in self._given:
            found: dict[str, list[ast.expr]] = {}
            self._given[id(owner)] = found
            for node in owner.own:
                for name, value in _given(node):
                    found.setdefault(name, []).append(value)
        return self._given[id(owner)]

    def _attributes(self, cls: Class, name: str) -> Iterator[tuple[ast.expr, Frame, bool]]:
        for one in self.graph.lineage(cls):
            for method, value in one.attributes.get(name, ()):
                yield value, self.nest.base, self._is_inside(method, value)
                # `def __init__(self, model): self.model = model; self.ema = EMA(model)`
                given = {inner.id for inner in ast.walk(value) if isinstance(inner, ast.Name)} & set(method.parameters)
                for attribute, kept in one.attributes.items():
                    if any(isinstance(same, ast.Name) and same.id in given for _, same in kept) and attribute != name:
                        yield ast.parse(f"self.{attribute}", mode="eval").body, self.nest.base, False

    def _only_counts(self, method: Function, passed: tuple[Function, ...]) -> bool:
        """Whether a method changes nothing but what its own object holds, from what it is given: a meter's does."""
        if method in passed:
            return True
        known = {*method.parameters, *method.assigned, *_bound(method)}
        for node in method.own:
            if isinstance(node, ast.Attribute) and node.attr in ("data", "grad"):
                return False
            if isinstance(node, ast.Name) and node.id in self._roles and node.id not in known:
                return False
            if not isinstance(node, ast.Call):
                continue
            targets = self.graph.targets(method, node.func)
            if not all(self._only_counts(target, (*passed, method)) for target in targets):
                return False
            if not targets and not is_quiet_call(node) and dotted(node.func) not in _LOOKS:
                return False
        return True


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The names that a statement or call gives something, each with what: `a.b = x` gives it to `a`, too."""
    pairs: list[tuple[ast.expr, ast.expr]] = []
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value is not None:
        pairs = [(node.target, node.value)]
    elif isinstance(node, ast.For):
        pairs = [(node.target, node.iter)]
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        pairs = [(node.optional_vars, node.context_expr)]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _PUTS:
        pairs = [(node.func.value, value) for value in node.args]
    for target, value in pairs:
        for one in ast.walk(target):
            if isinstance(one, ast.Name | ast.Attribute) and dotted(one) and dotted(one) not in ("self", "cls"):
                yield dotted(one), value


def _is_part(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _PARTS


def _bound(method: Function) -> set[str]:
    return {node.id for node in method.own if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
