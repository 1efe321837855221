"""What a name in a Python config stands for while its file is read."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from lab_bridge.config.nodes import UNRESOLVED, Call, Entries, Items, Leaf, Node
from lab_bridge.config.places import Place
from lab_bridge.config.problems import Problem

__all__ = ["Function", "Group", "List", "Made", "Named", "Plain", "Unknown", "Value", "as_tree", "value_of"]


@attrs.define(eq=False)
class Plain:
    """A number, text, truth value or None."""

    value: Any
    place: Place


@attrs.define(eq=False)
class List:
    """A list, tuple or set; like Python's own, one object however many names it has."""

    items: list[Value]
    kind: str
    place: Place


@attrs.define(eq=False)
class Group:
    """A mapping: a dict, or a framework's `CfgNode` or `ConfigDict`, whose import path is its `kind`."""

    entries: dict[Any, Value]
    kind: str
    place: Place
    docs: dict[Any, str] = attrs.field(factory=dict)


@attrs.define(eq=False)
class Made:
    """What a call of a builder makes: `L(FPN)(out_channels=256)`, `ShapeSpec(channels=256)`."""

    target: str
    arguments: dict[str, Value]
    place: Place


@attrs.define(eq=False)
class Named:
    """A class, function or module, by import path."""

    path: str
    place: Place


@attrs.define(eq=False)
class Function:
    """A function whose source is known, with the names that it sees."""

    node: ast.FunctionDef | ast.Lambda
    scope: Mapping[str, Value]
    path: str
    place: Place


@attrs.define(eq=False)
class Unknown:
    """What only running the file would tell; `source` is what stands there."""

    source: str
    place: Place


Value = Plain | List | Group | Made | Named | Function | Unknown


def value_of(node: Node) -> Value:
    """A tree as a value that can be changed."""
    match node:
        case Items(items):
            return List([value_of(item) for item in items], "tuple" if node.is_tuple else "list", node.place)
        case Entries(entries):
            return Group({key: value_of(inner) for key, inner in entries.items()}, "dict", node.place)
        case Call(name, arguments):
            return Made(name, {key: value_of(inner) for key, inner in arguments.items()}, node.place)
        case Leaf(value):
            return Plain(value, node.place)
    raise AssertionError("nothing shared is written in Python")


def as_tree(value: Value, problems: list[Problem], path: str = "") -> Node:
    """The tree of a value. What is not known, or is no config value, becomes a problem with its path."""
    match value:
        case Plain():
            return Leaf(value.value, place=value.place)
        case List():
            items = tuple(as_tree(item, problems, f"{path}[{index}]") for index, item in enumerate(value.items))
            return Items(items, is_tuple=value.kind == "tuple", place=value.place)
        case Group():
            return Entries(dict(_inner(value.entries, problems, path)), place=value.place)
        case Made():
            return Call(value.target, dict(_inner(value.arguments, problems, path)), place=value.place)
        case Named() if "." in value.path:
            return Call(value.path, {}, deferred=True, place=value.place)
        case Named():
            message, hint = f"expected a value that a config can hold, found {value.path}", "keep it in code"
        case Function():
            message, hint = "expected a value that a config can hold, found a function", "name a function of a module"
        case Unknown():
            message = f"expected a value that can be read without running the file, found {value.source}"
            hint = "write its value out"
    problems.append(Problem(value.place, path.lstrip("."), "static", message, hint))
    return Leaf(UNRESOLVED, place=value.place)


def _inner(entries: Mapping[Any, Value], problems: list[Problem], path: str) -> Iterator[tuple[Any, Node]]:
    for key, inner in entries.items():
        part = f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
        yield key, as_tree(inner, problems, f"{path}{part}")
