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
from collections.abc import Collection

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Class, Function, dotted
from lab_migrate.idiomatic.filling import changed_in_place
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.plain import Kind, Values
from lab_migrate.idiomatic.reach import reached_in
from lab_migrate.idiomatic.roles import nodes_of
from lab_migrate.idiomatic.stores import Stores, stored

__all__ = ["Changing", "changed_by_methods", "changing"]


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
    reading = Stores(classes[0], graph)
    handed_on = False
    for frame, node in nodes_of(nest):
        for target, value in stored(node):
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
    reading = Stores(cls, graph, moved)
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
        changed = [target for target, _ in stored(node)]
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
