"""From a typed config to the objects that it describes: builders are imported and called, as gin would call them."""

from __future__ import annotations

import importlib
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from lab_bridge.config.schema import Builder, Schema
from lab_bridge.config.structure import Deferred, Shared
from lab_bridge.config.types import OWN, Own, factory_of

__all__ = ["build", "import_target"]


def build(config: Any, schema: Schema) -> Any:
    """Build what a typed config describes. This imports and runs its builders' code.

    As in gin: arguments are built before the builder that takes them, in the order of its parameters, each time it is
    called; a factory builds anew at each call; what is shared is built once for each call of this function.
    """
    return _Building(schema).value(config, Any)


def import_target(path: str) -> Any:
    """The object at an import path. Raises `ImportError` naming the path."""
    module, _, name = path.rpartition(".")
    parts = [name]
    while module:
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is not None and not f"{module}.".startswith(f"{error.name}."):
                raise
            module, _, outer = module.rpartition(".")
            parts.insert(0, outer)
            continue
        for part in parts:
            if not hasattr(found, part):
                raise ImportError(f"{path}: expected {part!r} in {module}, found no such name")
            found = getattr(found, part)
        return found
    raise ImportError(f"{path}: expected a module that can be imported, found none; is its folder on sys.path?")


class _Building:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._shared: dict[str, Any] = {}

    def value(self, value: Any, type_: Any) -> Any:
        if isinstance(value, Deferred):
            return self._factory(value.config)
        if isinstance(value, Shared):
            if value.key not in self._shared:
                self._shared[value.key] = self.value(value.constructor, Any)
            return self._shared[value.key]
        type_ = _part_for(value, type_)
        if factory_of(type_) is not None:
            return self._factory(value)
        builder = self._schema.builder_of(value)
        if builder is not None:
            return import_target(builder.builds or builder.target)(**self._arguments(value, builder))
        inner = get_args(type_)
        if isinstance(value, Mapping):
            item = inner[1] if get_origin(type_) is Mapping else Any
            return {key: self.value(one, item) for key, one in value.items()}
        if isinstance(value, list | tuple):
            kinds = _items(type_, len(value))
            made = [self.value(one, kind) for one, kind in zip(value, kinds, strict=True)]
            # what asks for a sequence gets a list, as gin and LightningCLI give it
            return made if isinstance(value, list) or get_origin(type_) is Sequence else tuple(made)
        return value

    def _factory(self, config: Any) -> Callable[..., Any]:
        builder = self._schema.builder_of(config)
        if builder is None:
            return lambda: self.value(config, Any)
        known: Builder = builder

        def made(*args: Any, **kwargs: Any) -> Any:
            return import_target(known.builds or known.target)(*args, **(self._arguments(config, known) | kwargs))

        return made

    def _arguments(self, config: Any, builder: Builder) -> dict[str, Any]:
        given = {
            parameter.name: self.value(getattr(config, parameter.name), self._schema.type_of(parameter))
            for parameter in builder.parameters
            if parameter.name not in builder.supplied and getattr(config, parameter.name) is not OWN
        }
        return given | ({name: self.value(one, Any) for name, one in config.more.items()} if builder.open else {})


def _part_for(value: Any, type_: Any) -> Any:
    """Of a union, the part that says how a value is built."""
    if get_origin(type_) not in (Union, types.UnionType):
        return type_
    parts = [part for part in get_args(type_) if part not in (None, type(None), Own)]
    if value is None:
        return None
    if isinstance(value, Mapping):
        parts = [part for part in parts if get_origin(part) is Mapping] or parts
    elif isinstance(value, list | tuple):
        parts = [part for part in parts if get_origin(part) in (Sequence, tuple)] or parts
    else:
        parts = [part for part in parts if factory_of(part) is not None] or parts
    return parts[0] if parts else type_


def _items(type_: Any, count: int) -> list[Any]:
    inner = get_args(type_)
    if get_origin(type_) is Sequence:
        return [inner[0]] * count
    if get_origin(type_) is tuple:
        return [inner[0]] * count if inner[-1:] == (...,) else list(inner)
    return [Any] * count
