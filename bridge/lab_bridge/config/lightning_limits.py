"""What a config says that LightningCLI (jsonargparse 4) cannot take, or not print, from YAML."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from lab_bridge.config.documents import Document
from lab_bridge.config.front import typed
from lab_bridge.config.lab import lab_schema
from lab_bridge.config.problems import Problem, Severity
from lab_bridge.config.schema import Builder, Schema
from lab_bridge.config.semantic_diff import place_at
from lab_bridge.config.structure import Deferred, Shared
from lab_bridge.config.types import factory_of

__all__ = ["lightning_limits"]


def lightning_limits(document: Document) -> tuple[Problem, ...]:
    """A finding for each value that LightningCLI would refuse, read as something else, or fail to print."""
    schema = document.schema
    return tuple(
        Problem(
            place_at(document, path.lstrip(".")), path.lstrip("."), "lightning", message, next_step, Severity.FINDING
        )
        for path, message, next_step in _limits(typed(document), Any, schema, "")
    )


def _limits(value: Any, type_: Any, schema: Schema, path: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, Deferred):
        yield (
            path,
            "LightningCLI builds this before it passes it on, where gin passes the builder",
            "annotate the parameter as a Callable[[], …]",
        )
        return
    if isinstance(value, Shared):
        builder = schema.builder_of(value.constructor)
        if builder is None or not any(name in lab_schema().roles for name in builder.stands_for):
            yield path, "LightningCLI has no word for an object that is shared", "build it in the module that uses it"
        yield from _limits(value.constructor, type_, schema, f"{path}.constructor")
        return
    parts = get_args(type_) if get_origin(type_) in (Union, types.UnionType) else (type_,)
    builder = schema.builder_of(value)
    if builder is not None:
        yield from _of_builder(value, builder, parts, schema, path)
    elif isinstance(value, Mapping):
        item = next((get_args(part)[1] for part in parts if get_origin(part) is Mapping), Any)
        for key, one in value.items():
            yield from _limits(one, item, schema, f"{path}[{key!r}]")
    elif isinstance(value, list | tuple):
        if parts == (Any,) and isinstance(value, tuple):
            yield path, "YAML has no tuples: the builder gets a list", "annotate the parameter as a tuple"
        if any(_is_callable(part, schema) for part in parts):
            yield (
                path,
                "LightningCLI reads this list, but cannot print it, since one callable would do here, too",
                "give one callable; --print_config and the config it saves are wrong here",
            )
        item = next((get_args(part)[0] for part in parts if get_origin(part) in (Sequence, tuple)), Any)
        for index, one in enumerate(value):
            yield from _limits(one, item, schema, f"{path}[{index}]")


def _of_builder(
    value: Any, builder: Builder, parts: Sequence[Any], schema: Schema, path: str
) -> Iterator[tuple[str, str, str]]:
    if builder.function and any(factory_of(part) is not None for part in parts):
        yield path, f"LightningCLI calls {builder.name} at once, where a factory is asked for", "make it a class"
    if builder.untyped_result and parts != (Any,):
        yield path, f"LightningCLI refuses {builder.name}, whose return nobody annotated", "annotate its return"
    for parameter in builder.parameters:
        if parameter.name not in builder.supplied:
            inner = getattr(value, parameter.name)
            yield from _limits(inner, schema.type_of(parameter), schema, f"{path}.{parameter.name}")


def _is_callable(type_: Any, schema: Schema) -> bool:
    role = schema.roles.get(schema.name_of(type_) or "")
    return role is not None and role.arity is not None
