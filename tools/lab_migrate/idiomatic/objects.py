"""Objects of the project's own that the training changes: which of their attributes a checkpoint has to hold.

class EarlyStopping:                            checkpoint["stop"] = {name: value of counter, best}
    def __call__(self, loss):
        self.counter, self.best = …             vars(self.stop).update(checkpoint["stop"])

class Average:                                  checkpoint["average"] = self.average.module.state_dict()
    def update(self, model):
        for mine, theirs in zip(self.module.parameters(), model.parameters()):
            mine.lerp_(theirs, 0.1)
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
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.plain import Kind, Values, arguments_of, worst
from lab_migrate.idiomatic.reach import reached_in
from lab_migrate.idiomatic.roles import nodes_of

__all__ = ["Changing", "changed_by_methods", "changing"]

_MUTATES = {
    "append", "extend", "insert", "add", "update", "pop", "popleft", "appendleft", "clear", "remove", "step",
    "reset", "setdefault",
}  # fmt: skip
#: What a module is asked for, and an optimizer in part; either has a `state_dict`.
_OF_MODULES = frozenset({"buffers", "modules", "named_buffers", "named_parameters", "parameters", "state_dict"})
#: How many calls of its own methods are followed.
_DEEPEST = 4


@attrs.frozen
class Changing:
    """The attributes of an object that the training changes; `numbers` where one may be a number of numpy's.

    `modules` are those that have a `state_dict`. `why` says what of all no checkpoint holds; empty where it holds all.
    """

    attributes: tuple[str, ...]
    modules: tuple[str, ...] = ()
    numbers: bool = False
    why: str = ""


def changing(
    name: str, classes: tuple[Class, ...], nest: Nest, graph: CallGraph, values: Values, lightnings: Collection[str]
) -> Changing | None:
    """What the training changes of the object that the base frame knows by this name; None where it changes nothing.

    `lightnings` are models, optimizers and others that Lightning's checkpoint has.
    """
    if len(classes) != 1:
        return Changing((), why="which class it is of cannot be told") if classes else None
    reading = _Reading(classes[0], graph)
    handed_on = False
    for frame, node in nodes_of(nest):
        for target, value in _stored(node):
            if isinstance(target, ast.Attribute) and frame.canonical(target.value) == name:
                reading.stores.setdefault(target.attr, []).append((value, frame))
        filled = changed_in_place(node) if isinstance(node, ast.Call) else None
        if isinstance(node, ast.Call) and isinstance(filled, ast.Attribute) and frame.canonical(filled.value) == name:
            put: list[ast.expr | None] = [*node.args] or [None]
            reading.stores.setdefault(filled.attr, []).extend((one, frame) for one in put)
        reading.filled(node, name, frame.canonical)
        if isinstance(node, ast.Call):
            method = reading.method(_method_called(node, name, frame))
            if method is not None:
                reading.calls(method, node, frame)
            reading.given(name, node, frame)
            given = [*node.args, *(word.value for word in node.keywords)]
            handed_on = handed_on or any(frame.canonical(one) == name for one in given)
    if handed_on:
        reading.anything()
    kinds = reading.kinds(values, lightnings)
    if reading.why:
        return Changing(tuple(kinds), why=reading.why)
    if not kinds:
        return None
    for attribute, kind in kinds.items():
        if kind is Kind.UNKNOWN:
            return Changing(tuple(kinds), why=f"its {attribute} may be more than numbers and tensors")
    modules = tuple(one for one, kind in kinds.items() if kind is Kind.MODULE)
    others = tuple(one for one in kinds if one not in modules)
    if any(_is_behind(attribute, graph.lineage(classes[0]), graph) for attribute in others):
        return Changing(others, why="what it keeps behind a descriptor cannot be told")
    if others and any(_has_slots(one) or one.node.decorator_list for one in graph.lineage(classes[0])):
        return Changing(others, why="it may have no __dict__")
    return Changing(others, modules, Kind.NUMBER in kinds.values())


def changed_by_methods(
    nest: Nest, graph: CallGraph, values: Values, lightnings: Collection[str]
) -> tuple[dict[str, Kind], str]:
    """What is changed of the object whose method trains by code that stays where it is, attribute by attribute.

    And why not all of that can be told; empty where it can. Its methods (`self.record(loss)`) and functions that it is
    given to (`hook(self)`) are such code; what the loop itself changes is the LightningModule's.
    """
    cls = nest.base.function.cls
    if cls is None or nest.base.function.is_static:
        return {}, ""
    moved = [frame.function for frame in nest.frames]
    reading = _Reading(cls, graph, moved)
    for frame, node in nodes_of(nest):
        if isinstance(node, ast.Call):
            method = reading.method(_method_called(node, "self", frame))
            if method is not None:
                reading.calls(method, node, frame)
    lineage = graph.lineage(cls)
    followed = [*moved, *(method for method, _ in reading.seen)]

    def does(node: ast.AST, within: Function) -> bool:
        if any(within is one for one in followed):
            return False
        changed = [target for target, _ in _stored(node)]
        if (filled := changed_in_place(node)) is not None:
            changed.append(filled)
        for one in changed:
            if isinstance(one, ast.Attribute) and any(of in lineage for of in graph.types(within, one.value)):
                reading.stores.setdefault(one.attr, []).append((None, Frame(within)))
        return False

    reached_in(nest, graph, does)
    return reading.kinds(values, lightnings), reading.why


def _is_behind(attribute: str, lineage: list[Class], graph: CallGraph) -> bool:
    """Whether the class has an object with a `__set__` of the program's under that name."""
    made = [
        (cls.module.symbols.top, node.value)
        for cls in lineage
        for node in cls.node.body
        if isinstance(node, ast.Assign) and any(dotted(target) == attribute for target in node.targets)
    ]
    return any(graph.find_method(of, "__set__") for top, value in made for of in graph.types(top, value))


def _has_slots(cls: Class) -> bool:
    return any(
        isinstance(node, ast.Assign) and any(dotted(target) == "__slots__" for target in node.targets)
        for node in cls.node.body
    )


def _method_called(call: ast.Call, name: str, frame: Frame) -> str:
    """The method of the object that a call runs."""
    if frame.canonical(call.func) == name:
        return "__call__"
    if isinstance(call.func, ast.Attribute) and frame.canonical(call.func.value) == name:
        return call.func.attr
    return ""


@attrs.define(eq=False)
class _Reading:
    """What the methods that are called store: attribute -> values, with the frames that they are of."""

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
            for target, value in _stored(node):
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


def _stored(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
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
