"""What code changes in its place through other names, which no assignment shows.

for v in self.average.state_dict().values(): v.mul_(0.9)       self.average
shadow = self.shadow; shadow[name] -= 0.1 * (…)                self.shadow
torch._foreach_lerp_(self.values, parameters, 0.1)             self.values
follow(self.average, model)                                    self.average, where `follow` changes what it is given
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.outside import changed_outside

__all__ = ["BY_NAME", "GIVE_AGAIN", "Leads", "changed_through", "is_in_place"]

#: Functions that give the entries, or the very things, that they are given.
GIVE_AGAIN = frozenset({
    "chain", "dict", "enumerate", "filter", "getattr", "iter", "list", "next", "reversed", "set", "sorted", "tuple",
    "vars", "zip",
})  # fmt: skip
_MAKE = frozenset({"dict", "list", "set", "sorted", "tuple"})
_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp)
#: Methods that give something of its own.
_GIVE_NEW = frozenset({"clone", "copy", "item", "max", "mean", "min", "norm", "numpy", "size", "std", "sum", "tolist"})
_FILL = frozenset({
    "add", "append", "appendleft", "clear", "extend", "insert", "pop", "popleft", "remove", "setdefault", "update",
})  # fmt: skip
_OF_GRADIENTS = frozenset({"clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "requires_grad_"})
#: What gives an attribute another value by its name.
BY_NAME = frozenset({"setattr", "delattr", "__setattr__", "__delattr__"})
#: How many calls down what is handed on is followed.
_DEEPEST = 3


def changed_through(method: Function, graph: CallGraph, this: str = "") -> set[str]:
    """Attributes of an object that a function changes in their place; what it assigns or fills by name is not asked.

    `this` is what it knows the object by: its own, where none is said. In doubt an attribute is one of them: of what is
    changed, any that it may be.
    """
    if not this and method.cls is not None and method.parameters and not method.is_static:
        this = method.parameters[0]

    def root(node: ast.expr) -> set[str]:
        return {node.attr} if this and isinstance(node, ast.Attribute) and dotted(node.value) == this else set()

    leads = Leads(method, graph, root)
    nodes = [node for statement in method.body for node in ast.walk(statement)]
    leads.bind(nodes)
    return {one for node in nodes for one, _ in leads.changed(node)}


def is_in_place(method: str) -> bool:
    """Whether a method of that name changes a tensor in its place, as `mul_` does, its numbers or its memory."""
    return method.endswith("_") and not method.endswith("__") and method not in _OF_GRADIENTS


@attrs.define(eq=False)
class Leads:
    """What the names of a function lead to: `root` tells it of an expression that is one of those asked for."""

    function: Function
    graph: CallGraph
    root: Callable[[ast.expr], set[str]]
    names: dict[str, set[str]] = attrs.field(factory=dict)
    deepest: int = _DEEPEST
    #: Names of containers that the function makes.
    fresh: set[str] = attrs.field(factory=set)

    def bind(self, nodes: Iterable[ast.AST]) -> None:
        """Read what these statements bind names to."""
        nodes, before = list(nodes), -1
        while before != (before := sum(map(len, self.names.values()))):
            for node in nodes:
                self._bind(node)

    def changed(self, node: ast.AST) -> Iterator[tuple[str, str]]:
        """What a statement or call changes, with how it does."""
        match node:
            case ast.AugAssign(target) if not self._is_named(target):
                found, how = self.of(target), "an operator"
            case ast.Subscript(inner, ctx=ast.Store() | ast.Del()) if not self._is_fresh(inner):
                found, how = self.of(inner), "an assignment to its entries"
            case ast.Attribute(inner, ctx=ast.Store() | ast.Del()) if not self._is_named(node):
                found, how = self.of(inner), "an assignment"
            case ast.Call():
                found, how = self._by_call(node), f"{_last(node.func)}()"
            case _:
                return
        yield from ((one, how) for one in sorted(found))

    def of(self, node: ast.expr | None) -> set[str]:
        """What an expression may be, or be a part of."""
        if isinstance(node, ast.Name) and (found := self.names.get(node.id, set())):
            return found
        if node is not None and not self._leads_on(node) and (found := self.root(node)):
            return found
        match node:
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Starred(value=inner):
                return self.of(inner)
            case ast.Call(ast.Attribute(inner, method), given):
                found = set() if method in _GIVE_NEW else self.of(inner)
                return found | (self._all(given) if method in GIVE_AGAIN else set())
            case ast.Call(ast.Name(name), given) if name in GIVE_AGAIN:
                return self._all(given)
            case ast.Tuple(entries) | ast.List(entries) | ast.Set(entries) | ast.Dict(values=entries):
                return self._all(entries)
            case ast.IfExp(body=one, orelse=other):
                return self.of(one) | self.of(other)
            case ast.BoolOp(values=entries):
                return self._all(entries)
            case ast.ListComp(elt=inner) | ast.SetComp(elt=inner) | ast.GeneratorExp(elt=inner):
                return self.of(inner)
            case ast.DictComp(value=inner) | ast.NamedExpr(value=inner) | ast.Await(value=inner):
                return self.of(inner)
        return set()

    def _all(self, nodes: list[ast.expr]) -> set[str]:
        return {one for node in nodes for one in self.of(node)}

    def _bind(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets, value):
                for target in targets:
                    self._target(target, value)
            case ast.AnnAssign(target, value=ast.expr() as value) | ast.NamedExpr(target, value):
                self._target(target, value)
            case ast.For(target, source) | ast.AsyncFor(target, source) | ast.comprehension(target, source):
                self._target(target, source)
            case ast.withitem(value, ast.expr() as target):
                self._target(target, value)

    def _target(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Name(name), _:
                self.names.setdefault(name, set()).update(self.of(value))
                makes = isinstance(value, ast.Call) and dotted(value.func) in _MAKE
                if makes or isinstance(
                    value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.SetComp | ast.DictComp
                ):
                    self.fresh.add(name)
            case ast.Tuple(targets), ast.Call(ast.Name("zip"), sources) if len(targets) == len(sources):
                for one, source in zip(targets, sources, strict=True):
                    self._target(one, source)
            case ast.Tuple(targets), ast.Tuple(values) if len(targets) == len(values):
                for one, source in zip(targets, values, strict=True):
                    self._target(one, source)
            case ((ast.Tuple(targets) | ast.List(targets)), _):
                for one in targets:
                    self._target(one, value)
            case ast.Starred(inner), _:
                self._target(inner, value)

    def _by_call(self, call: ast.Call) -> set[str]:
        function, found = call.func, set[str]()
        last = _last(function)
        if last in _OF_GRADIENTS:
            return found
        if isinstance(function, ast.Attribute):
            fills = last in _FILL and not self._is_named(function.value) and not self._is_fresh(function.value)
            if is_in_place(last) or last == "load_state_dict" or fills or self._changes_itself(function):
                found |= self.of(function.value)
        # `nn.init.zeros_(w)`; `label.fill_(value)` changes no value.
        is_method = isinstance(function, ast.Attribute) and dotted(function).partition(".")[0] not in self._imports()
        if ((is_in_place(last) and not is_method) or last in BY_NAME) and call.args:
            found |= self.of(call.args[0])
        if last.startswith("__") and last in BY_NAME and isinstance(function, ast.Attribute):
            found |= self.of(function.value)
        found |= {one for word in call.keywords if word.arg == "out" for one in self.of(word.value)}
        for target in self._targets(function) if self.deepest else ():
            if passed := self.passed(target, call):
                inner = Leads(target, self.graph, lambda node: set(), passed, self.deepest - 1)
                inner.bind(target.own)
                found |= {one for node in target.own for one, _ in inner.changed(node)}
        return found

    def passed(self, target: Function, call: ast.Call) -> dict[str, set[str]]:
        """What the parameters of a function lead to, `*args` and `**kwargs` among them."""
        found: dict[str, set[str]] = {}
        node = target.node
        names = target.parameters[1:] if target.cls is not None and not target.is_static else target.parameters
        rest = node.args.vararg if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) else None
        words = node.args.kwarg if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) else None
        star = next((at for at, one in enumerate(call.args) if isinstance(one, ast.Starred)), len(call.args))
        given = [(name, one) for name, one in zip(names, call.args[:star], strict=False)]
        given += [(name, one) for name in names[star:] for one in call.args[star:]]
        given += [(rest.arg, one) for one in call.args[min(star, len(names)) :] if rest is not None]
        for word in call.keywords:
            by_name = names if word.arg is None else [word.arg] if word.arg in names else []
            given += [(name, word.value) for name in by_name]
            given += [(words.arg, word.value)] if words is not None and word.arg not in names else []
        for name, one in given:
            if leads := self.of(one):
                found.setdefault(name, set()).update(leads)
        return found

    def _targets(self, function: ast.expr) -> list[Function]:
        return [one for one in self.graph.targets(self.function, function) if one.name != "__init__"]

    def _changes_itself(self, method: ast.Attribute) -> bool:
        """Whether it is a method of another object of the project's, which changes that one."""
        if not self.of(method.value):
            return False
        owners = [(target, target.cls.name) for target in self._targets(method) if target.cls is not None]
        return any(name.startswith(f"{cls}.") for target, cls in owners for name in changed_outside(target, self.graph))

    def _imports(self) -> dict[str, str]:
        return self.function.module.symbols.imports

    def _is_named(self, node: ast.expr) -> bool:
        """`self.count`, and what is filled under its name: others than this reader look at that."""
        while isinstance(node, ast.Subscript):
            node = node.value
        return not self._leads_on(node) and bool(self.root(node))

    def _leads_on(self, node: ast.expr) -> bool:
        """Whether it begins with a name that is bound to something else's part: `mine.n` after `mine = state`."""
        while isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        return isinstance(node, ast.Name) and bool(self.names.get(node.id))

    def _is_fresh(self, node: ast.expr) -> bool:
        """A list or dictionary of the function's own, whatever its entries are."""
        return isinstance(node, ast.Name) and node.id in self.fresh


def _last(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else dotted(function)
