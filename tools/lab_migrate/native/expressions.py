"""From typed configs to Python expressions that build the same objects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from lab_bridge.config.schema import Builder, Schema
from lab_bridge.config.structure import Deferred, Listed, Shared
from lab_bridge.config.types import OWN, REQUIRED
from lab_migrate.native.labs import is_labs
from lab_migrate.native.lift import is_public
from lab_migrate.native.refused import NotNativeError

__all__ = ["Expressions"]

BLOCKS = "legacy_lab.blocks"


@attrs.define
class Expressions:
    """Spells values of a schema; `imports` collects what the spelling needs, `lab` the other classes of Lab's."""

    schema: Schema
    imports: dict[str, None] = attrs.field(factory=dict)
    lab: dict[str, None] = attrs.field(factory=dict)

    def of(self, value: Any, factory: bool = False) -> str:
        """The expression. Raises `NotNativeError` for an object that is built once and shared."""
        if isinstance(value, Shared):
            raise NotNativeError(
                "LM405", f"gin.singleton: {value.key!r} is one object in several places, which a written model is not",
                "give each place an object of its own, if they need not share it",
            )  # fmt: skip
        if isinstance(value, Deferred):
            return self.of(value.config, factory=True)
        builder = self.schema.builder_of(value)
        if builder is not None:
            return self._call(value, builder, factory)
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{key!r}: {self.of(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list | tuple):
            spelled = [self.of(item) for item in value]
            if isinstance(value, list | Listed):  # as gin gives it: `x[[0, 2]]` is another thing than `x[(0, 2)]`
                return f"[{', '.join(spelled)}]"
            return f"({', '.join(spelled)}{',' if len(spelled) == 1 else ''})"
        return f'float("{value}")' if isinstance(value, float) and not math.isfinite(value) else repr(value)

    def name(self, builder: Builder) -> str:
        """The name under which a builder is imported."""
        module, _, name = builder.target.rpartition(".")
        if builder.target.startswith(f"{BLOCKS}."):
            public = is_public(BLOCKS, name)
            self.imports[f"from {BLOCKS if public else module} import {name}"] = None
        elif is_labs(builder):
            self.lab[builder.target] = None
        else:
            self.imports[f"from {module} import {name}"] = None
        return name

    def _call(self, config: Any, builder: Builder, factory: bool) -> str:
        arguments = []
        for parameter in builder.parameters:
            if parameter.name in builder.supplied:
                continue
            value = getattr(config, parameter.name)
            if value is OWN or (parameter.default is not REQUIRED and _same(value, parameter.default)):
                continue
            is_factory = "Factory[" in parameter.type and self.schema.builder_of(value) is not None
            arguments.append(f"{parameter.name}={self.of(value, is_factory)}")
        if builder.open:
            arguments += [f"{name}={self.of(value)}" for name, value in config.more.items()]
        if factory and not arguments:
            return self.name(builder)
        if factory:
            self.imports["from functools import partial"] = None
            return f"partial({', '.join([self.name(builder), *arguments])})"
        return f"{self.name(builder)}({', '.join(arguments)})"


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)
