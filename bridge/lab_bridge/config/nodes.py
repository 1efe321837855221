"""A config as it was written, whatever the format: a tree of values and builder calls that know their place.

Every reader gives this tree and every writer takes it; typed configs are made from it (`structure`) and turned into it
(`as_node`). Two trees are equal when they say the same, wherever and under whatever names it is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from lab_bridge.config.places import NOWHERE, Place

__all__ = ["UNRESOLVED", "Call", "Entries", "Items", "Leaf", "Node", "Once", "children", "literal"]

#: The value of a leaf that a reader could not make out and has said so about.
UNRESOLVED = object()


@attrs.frozen(kw_only=True)
class _Placed:
    #: Where it is written.
    place: Place = attrs.field(default=NOWHERE, eq=False)
    #: A name under which the same value is used elsewhere (gin's macros, YAML's anchors).
    anchor: str | None = attrs.field(default=None, eq=False)


@attrs.frozen
class Leaf(_Placed):
    """A number, text, truth value or None."""

    value: object


@attrs.frozen
class Items(_Placed):
    """A list or tuple."""

    items: tuple[Node, ...]
    is_tuple: bool = attrs.field(default=False, eq=False, kw_only=True)


@attrs.frozen
class Entries(_Placed):
    """A mapping with plain keys."""

    entries: Mapping[Any, Node]


@attrs.frozen
class Call(_Placed):
    """A builder by name, with the arguments that the config gives it.

    `deferred` tells whether the builder itself is meant (gin's `@Conv`), to be called by whoever receives it, or what
    it returns (`@Conv()`); None where the format leaves that to the type of the parameter. `scope` is gin's.
    """

    name: str
    arguments: Mapping[str, Node]
    deferred: bool | None = attrs.field(default=None, kw_only=True, eq=False)
    scope: tuple[str, ...] = attrs.field(default=(), kw_only=True, eq=False)


@attrs.frozen
class Once(_Placed):
    """An object that is built once for each `key` and shared by all who name it (gin's `singleton`)."""

    key: str
    constructor: Node


Node = Leaf | Items | Entries | Call | Once


def children(node: Node) -> Iterator[tuple[str, Node]]:
    """The nodes directly inside, each with its part of a path: `.heads`, `[2]`, `['a b']`."""
    match node:
        case Items(items):
            yield from ((f"[{index}]", item) for index, item in enumerate(items))
        case Entries(entries):
            yield from ((f"[{key!r}]", value) for key, value in entries.items())
        case Call(_, arguments):
            yield from ((f".{name}", value) for name, value in arguments.items())
        case Once(_, constructor):
            yield ".constructor", constructor


def literal(value: object, place: Place = NOWHERE) -> Node:
    """A plain value as a tree."""
    if isinstance(value, list | tuple):
        return Items(tuple(literal(item, place) for item in value), place=place, is_tuple=isinstance(value, tuple))
    if isinstance(value, Mapping):
        return Entries({key: literal(item, place) for key, item in value.items()}, place=place)
    return Leaf(value, place=place)
