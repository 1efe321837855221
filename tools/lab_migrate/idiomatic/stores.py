"""What the methods of an object, and functions that are given it, store in its attributes.

def record(self, value): self.seen.append(value)     self.record(loss)
def anneal(state): state.scale *= 0.9                anneal(state)
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Collection, Iterator

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.definitions import is_builtin
from lab_migrate.analysis.symbols import Class, Function, dotted
from lab_migrate.idiomatic.filling import changed_in_place
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.led_to import Leads, changed_through
from lab_migrate.idiomatic.plain import Kind, Values, arguments_of, worst

__all__ = ["Stores", "stored"]

_MUTATES = {
    "append", "extend", "insert", "add", "update", "pop", "popleft", "appendleft", "clear", "remove", "step",
    "reset", "setdefault",
}  # fmt: skip
#: What a module is asked for, and an optimizer in part; either has a `state_dict`.
_OF_MODULES = frozenset({"buffers", "modules", "named_buffers", "named_parameters", "parameters", "state_dict"})
#: How many calls of its own methods are followed.
_DEEPEST = 4


@attrs.define(eq=False)
class Stores:
    """What code that an object of a class meets stores in it: attribute -> values, with the frames that they are of.

    Its methods are such code, and functions and methods that are given the object.
    """

    cls: Class
    graph: CallGraph
    #: Methods whose code is the LightningModule's.
    moved: list[Function] = attrs.field(factory=list)
    stores: dict[str, list[tuple[ast.expr | None, Frame]]] = attrs.field(factory=dict)
    #: Attributes that are changed in their place.
    in_place: dict[str, None] = attrs.field(factory=dict)
    seen: list[tuple[Function, ast.Call]] = attrs.field(factory=list)
    #: Why not all of what is changed can be told.
    why: str = ""

    def method(self, name: str) -> Function | None:
        """The method that the class, or one that it is built on, has under a name."""
        return self.graph.find_method(self.cls, name) if name else None

    def kinds(self, values: Values, lightnings: Collection[str]) -> dict[str, Kind]:
        """The worst of what each attribute is given, at first and later; those that are `lightnings` are left out."""
        found = {}
        for attribute in {**self.stores, **self.in_place}:
            made = [pair for one in self.graph.lineage(self.cls) for pair in one.attributes.get(attribute, [])]
            first = [(values.called(method), value) for method, value in made if method.name == "__init__"]
            if attribute not in self.stores:
                if any(dotted(value) and frame.canonical(value) in lightnings for frame, value in first):
                    continue
                if self._is_module(attribute):
                    found[attribute] = Kind.MODULE
                    continue
                first = [(values.called(method), value) for method, value in made]
            kinds = [values.kind(value, frame) for value, frame in self.stores.get(attribute, [])]
            kinds += [values.kind(value, frame) for frame, value in first]
            found[attribute] = worst(kinds) if kinds else Kind.UNKNOWN
        return found

    def _is_module(self, attribute: str) -> bool:
        """Whether the class's methods use it as one."""
        return any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _OF_MODULES
            and dotted(node.func.value) == f"{method.parameters[0]}.{attribute}"
            for one in self.graph.lineage(self.cls)
            for method in one.methods.values()
            if method.parameters
            for node in method.own
        )

    def anything(self) -> None:
        """Somebody else may call any of its methods."""
        for one in self.graph.lineage(self.cls):
            for method in one.methods.values():
                if method.name != "__init__":
                    self._stores_of(method, Frame(method), 0)

    def calls(self, method: Function, call: ast.Call, frame: Frame, depth: int = 0) -> None:
        """Follow a call of one of its methods."""
        if depth > _DEEPEST or any(method is one and call is node for one, node in self.seen):
            return
        if any(method is one for one in self.moved):
            return
        self.seen.append((method, call))
        self._stores_of(method, Frame(method, frame, arguments_of(method, call)), depth)

    def filled(self, node: ast.AST, name: str, text: Callable[[ast.expr], str]) -> None:
        """A list or dictionary that its class is built on: `self[key] = value`, `super().append(value)`."""
        changed = changed_in_place(node)
        if changed is None or (isinstance(node, ast.Call) and self.method(dotted(node.func).rpartition(".")[2])):
            return
        is_parents = isinstance(changed, ast.Call) and dotted(changed.func) == "super"
        if (text(changed) == name or is_parents) and not (
            isinstance(node, ast.Subscript) and self.method("__setitem__")
        ):
            self.why = "its class is built on another one that it fills"

    def given(self, name: str, call: ast.Call, frame: Frame, depth: int = 0) -> None:
        """Follow the object that `frame` knows by this name into a function or another object's method.

        It is given there, or, as `self.state`, one of the method's own object. Deeper down the name is the function's.
        """
        text: Callable[[ast.expr], str] = dotted if depth else frame.canonical
        for target in self.graph.targets(frame.function, call.func) if depth <= _DEEPEST else ():
            if target.name == "__init__" or any(target is one and call is node for one, node in self.seen):
                continue
            if any(target is one for one in self.moved):
                continue
            arguments = arguments_of(target, call)
            names = [one for one, value in arguments.items() if text(value) == name]
            of, _, rest = name.partition(".")
            bound = target.cls is not None and not target.is_static
            if bound and rest and isinstance(call.func, ast.Attribute) and text(call.func.value) == of:
                names.append(f"{target.parameters[0]}.{rest}")
            names += [f"{one}.{rest}" for one, value in arguments.items() if rest and text(value) == of]
            for this in names:
                self.seen.append((target, call))
                self._stores_of(target, Frame(target, frame, arguments), depth, this)
            leads = Leads(frame.function, self.graph, lambda node: {name} if text(node) == name else set())
            if not names and any(text(one) == name for one in _given(call)) and any(leads.changed(call)):
                self.why = f"{target.qualified}() is given it among others"
        self._given_on(name, call, frame, text)

    def _given_on(self, name: str, call: ast.Call, frame: Frame, text: Callable[[ast.expr], str]) -> None:
        """Something that nobody can tell is called with it, as an entry of a list of functions."""
        called, given = dotted(call.func), [*call.args, *(word.value for word in call.keywords)]
        unknown = ast.Name | ast.Subscript | ast.Call | ast.Lambda
        is_told = not isinstance(call.func, unknown) or called in frame.module.symbols.imports
        is_told = is_told or (hasattr(builtins, called) and is_builtin(frame.function, called))
        if is_told or self.graph.targets(frame.function, call.func):
            return
        if any(text(one) == name for one in given):
            self.why = f"{ast.unparse(call.func)}() may change it"

    def _stores_of(self, method: Function, inner: Frame, depth: int, this: str = "") -> None:
        """`this` is what the function knows the object by; a method of its own by its first parameter."""
        if not this and method.parameters and not method.is_static:
            this = method.parameters[0]
        self.in_place |= dict.fromkeys(sorted(changed_through(method, self.graph, this)))
        for node in method.own:
            if this:
                self.filled(node, this, dotted)
            if this and _gives_another_name(node, this):
                self.why = f"{method.qualified}() gives it another name"
            if this and isinstance(node, ast.Call):
                self.given(this, node, inner, depth + 1)
            for target, value in stored(node):
                if isinstance(target, ast.Attribute) and dotted(target.value) == this:
                    if isinstance(value, ast.BinOp) and dotted(value.left) == dotted(target):
                        value = value.right  # `state.n = state.n * 0.9`, as `state.n *= 0.9`
                    self.stores.setdefault(target.attr, []).append((value, inner))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of = dotted(node.func.value)
                if of == this and (own := self.method(node.func.attr)) is not None:
                    self.calls(own, node, inner, depth + 1)
                elif of.startswith(f"{this}.") and node.func.attr in _MUTATES:
                    attribute = of.removeprefix(f"{this}.").partition(".")[0]
                    given = [*node.args] if node.func.attr in ("append", "add", "appendleft") else [None]
                    self.stores.setdefault(attribute, []).extend((one, inner) for one in given)


def _given(call: ast.Call) -> list[ast.expr]:
    """What a call is given, entries of what is written out included: `f(*[state], {"a": other})`."""
    found: list[ast.expr] = []
    left = [*call.args, *(word.value for word in call.keywords)]
    while left:
        match left.pop():
            case ast.Starred(inner):
                left.append(inner)
            case ast.List(entries) | ast.Tuple(entries) | ast.Set(entries) | ast.Dict(values=entries):
                left += entries
            case one:
                found.append(one)
    return found


def _gives_another_name(node: ast.AST, this: str) -> bool:
    """`state = trainer.state`, `for one in (state, other)`, `with state as one`."""
    match node:
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) | ast.NamedExpr(value=value):
            values = [value]
        case ast.For(iter=value) | ast.comprehension(iter=value) | ast.withitem(context_expr=value):
            values = [value]
        case _:
            return False
    entries = [*values]
    for value in values:
        entries += value.elts if isinstance(value, ast.List | ast.Tuple | ast.Set) else []
    return any(dotted(one) == this for one in entries)


def stored(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """Targets of an assignment with their values; an entry's is its container's."""
    pairs: list[tuple[ast.expr, ast.expr | None]] = []
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        pairs = [(node.target, node.value)]
    elif isinstance(node, ast.For):
        pairs = [(node.target, None)]
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        pairs = [(node.optional_vars, None)]
    for target, value in pairs:
        if isinstance(target, ast.Tuple | ast.List):
            several = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
            parts = value.elts if several and isinstance(value, ast.Tuple | ast.List) else [value] * len(target.elts)
            yield from ((_root(one), part) for one, part in zip(target.elts, parts, strict=True))
        else:
            yield _root(target), value


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Subscript):
        node = node.value
    return node
