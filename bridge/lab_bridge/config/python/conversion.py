"""Between the values of a config and Python's own, and what changes them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import attrs

from lab_bridge.config.places import Place
from lab_bridge.config.python.operators import NotPlainError
from lab_bridge.config.python.values import Function, Group, List, Made, Named, Plain, Unknown, Value


def plain(value: Value) -> Any:
    """A value as Python has it. Raises `NotPlainError`."""
    if isinstance(value, Plain):
        return value.value
    if isinstance(value, List):
        items = [plain(item) for item in value.items]
        return tuple(items) if value.kind == "tuple" else items
    if isinstance(value, Group):
        return {key: plain(inner) for key, inner in value.entries.items()}
    raise NotPlainError


def made_of(value: Any, place: Place) -> Value:
    """Python's value as one of a config's."""
    if isinstance(value, list | tuple):
        return List([made_of(item, place) for item in value], type(value).__name__, place)
    if isinstance(value, dict):
        return Group({key: made_of(item, place) for key, item in value.items()}, "dict", place)
    return Plain(value, place)


def known(value: Value) -> Value:
    """The value, if it is one. Raises `NotPlainError`."""
    if isinstance(value, Unknown | Named | Function):
        raise NotPlainError
    return value


def items_of(value: Value) -> list[Value]:
    """What a loop over a value goes through. Raises `NotPlainError`."""
    if isinstance(value, List):
        return list(value.items)
    if isinstance(value, Group):
        return [Plain(key, value.place) for key in value.entries]
    if isinstance(value, Plain) and isinstance(value.value, str):
        return [Plain(letter, value.place) for letter in value.value]
    raise NotPlainError


def entries_of(value: Value) -> dict[Any, Value]:
    """The entries of a mapping, or of its pairs. Raises `NotPlainError`."""
    if isinstance(value, Group):
        return dict(value.entries)
    if isinstance(value, List):
        pairs = [item.items for item in value.items if isinstance(item, List) and len(item.items) == 2]
        if len(pairs) == len(value.items):
            return {plain(key): inner for key, inner in pairs}
    raise NotPlainError


def true(value: Value) -> bool:
    """Whether Python takes a value as true."""
    match value:
        case Plain():
            return bool(value.value)
        case List():
            return bool(value.items)
        case Group():
            return bool(value.entries)
    return True


def at(value: Value, place: Place) -> Value:
    """The value, with the place it was written at."""
    return attrs.evolve(value, place=place) if isinstance(value, Plain) else value


def forgotten(group: Group, source: str, place: Place) -> None:
    """Nothing in a mapping is known any more."""
    for key in group.entries:
        group.entries[key] = Unknown(source, place)


def deep(entries: dict[Any, Value], kind: str) -> dict[Any, Value]:
    """Mappings inside a `CfgNode` or `ConfigDict` are such, too."""
    return {
        key: Group(deep(value.entries, kind), kind, value.place) if isinstance(value, Group) else value
        for key, value in entries.items()
    }


def merge(into: Group, given: Mapping[Any, Value]) -> None:
    """Update a mapping as its framework does: a `CfgNode` merges what is inside, too."""
    for key, value in given.items():
        held = into.entries.get(key)
        if isinstance(held, Group) and isinstance(value, Group) and into.kind != "dict":
            merge(held, value.entries)
        else:
            into.entries[key] = value


def copied(value: Value) -> Value:
    """A deep copy."""
    match value:
        case Group():
            inner = {key: copied(one) for key, one in value.entries.items()}
            return Group(inner, value.kind, value.place, dict(value.docs))
        case List():
            return List([copied(item) for item in value.items], value.kind, value.place)
        case Made():
            return Made(value.target, {key: copied(one) for key, one in value.arguments.items()}, value.place)
    return value


def short(node: ast.AST) -> str:
    """The first line of a statement or expression."""
    text = ast.unparse(node).split("\n")[0]
    return text if len(text) <= 60 else f"{text[:57]}..."
