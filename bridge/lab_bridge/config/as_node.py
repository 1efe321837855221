"""From a typed config back to a tree, ready to be written in any format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab_bridge.config.nodes import Call, Entries, Items, Leaf, Node, Once
from lab_bridge.config.schema import Builder, Schema
from lab_bridge.config.structure import Deferred, Listed, Shared
from lab_bridge.config.types import OWN, REQUIRED

__all__ = ["as_node"]


def as_node(value: Any, schema: Schema, defaults: bool = False) -> Node:
    """The tree of a typed value; parameters that have their default are left out unless `defaults`."""
    if isinstance(value, Shared):
        return Once(value.key, as_node(value.constructor, schema, defaults))
    if isinstance(value, Deferred):
        made = as_node(value.config, schema, defaults)
        assert isinstance(made, Call)
        return Call(made.name, made.arguments, deferred=True)
    builder = schema.builder_of(value)
    if builder is not None:
        return _call(value, builder, schema, defaults)
    if isinstance(value, list | tuple):
        return Items(
            tuple(as_node(item, schema, defaults) for item in value),
            is_tuple=isinstance(value, tuple) and not isinstance(value, Listed),
        )
    if isinstance(value, Mapping):
        return Entries({key: as_node(item, schema, defaults) for key, item in value.items()})
    return Leaf(value)


def _call(config: Any, builder: Builder, schema: Schema, defaults: bool) -> Call:
    arguments: dict[str, Node] = {}
    for parameter in builder.parameters:
        if parameter.name in builder.supplied:
            continue
        value = getattr(config, parameter.name)
        own = value is OWN or (parameter.default is not REQUIRED and same(value, parameter.default))
        if value is not OWN and (defaults or not own):
            arguments[parameter.name] = as_node(value, schema, defaults)
    if builder.open:
        arguments |= {name: as_node(value, schema, defaults) for name, value in config.more.items()}
    return Call(builder.name, arguments)


def same(a: Any, b: Any) -> bool:
    """Whether two plain values are the same, truth values no numbers."""
    return type(a) is type(b) and bool(a == b)
