"""Schedules that are functions: one that returns what is asked with a number, or one that is asked with it itself.

Their settings become a class in the config, as those of other schedules are; the project's function stays.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from lab_bridge.config.schema import Builder, Schema
from lab_bridge.config.sources.modules import Definition, dotted
from lab_bridge.config.structure import Deferred
from lab_bridge.config.types import REQUIRED
from lab_migrate.native.draws import CHANGES, FUNCTIONS, Draws
from lab_migrate.native.expressions import Expressions
from lab_migrate.native.refused import NotNativeError

__all__ = ["FunctionSettings", "builder_of", "function_settings", "moves"]


@attrs.frozen
class FunctionSettings:
    """The class in the config that holds them (`fields`: name, type, default), and its value; `asks` is whether the
    function is asked itself, and not what it returns."""

    function: str
    name: str
    fields: Sequence[str]
    value: str
    given: Sequence[str]
    asks: bool

    def made(self, config: str) -> str:
        """The expression of the schedule, with the settings of `config`."""
        arguments = [f"{name}={config}.{name}" for name in self.given]
        if not self.asks:
            return f"{self.function}({', '.join(arguments)})"
        return f"partial({', '.join([self.function, *arguments])})" if arguments else self.function


def builder_of(schedule: Any, schema: Schema) -> Builder | None:
    """A schedule's, also where the function itself is handed over."""
    return schema.builder_of(schedule.config if isinstance(schedule, Deferred) else schedule)


def function_settings(schedule: Any, builder: Builder, schema: Schema) -> FunctionSettings:
    """Read them. Raises `NotNativeError` for one that is given objects, or whatever is bound."""
    asks = isinstance(schedule, Deferred)
    config = schedule.config if asks else schedule
    parameters = builder.parameters[1:] if asks else builder.parameters  # the first is the number
    fields, values, spelled = [], [], Expressions(schema)
    for one in parameters:
        value = getattr(config, one.name)
        text = spelled.of(value)
        kind = _kind_of(value) if one.type == "Any" else one.type
        is_default = one.default is not REQUIRED and type(value) is type(one.default) and value == one.default
        fields.append(f"{one.name}: {kind}" + ("" if one.default is REQUIRED else f" = {one.default!r}"))
        values += [] if is_default else [f"{one.name}={text}"]
    if builder.open or spelled.lab or spelled.imports:
        raise NotNativeError(
            "LM405", f"the schedule {builder.name} is given an object, or whatever is bound",
            "write it as a function that is given numbers, or stay at level L2", builder.place,
        )  # fmt: skip
    function = builder.target.rpartition(".")[2]
    name = "".join(part[:1].upper() + part[1:] for part in function.split("_"))
    name = name if name.endswith("Schedule") else f"{name}Schedule"
    given = [one.name for one in parameters]
    return FunctionSettings(function, name, fields, f"{name}({', '.join(values)})", given, asks)


def moves(target: str, draws: Draws) -> str | None:
    """Why a function is none of its number alone, as it draws or remembers; None where it is."""
    found = draws.sources.find(target)
    if not isinstance(found, Definition) or not isinstance(found.node, ast.FunctionDef):
        return "cannot be read"
    for one in found.node.decorator_list:
        meant = draws.sources.resolve(found.module, dotted(one.func if isinstance(one, ast.Call) else one))
        if not isinstance(meant, str) or not meant.startswith("gin."):
            return f"has the decorator @{ast.unparse(one)}"
    return draws.by(target, "") or next(_remembered(found.node, set()), None)


def _remembered(node: ast.AST, own: set[str]) -> Iterator[str]:
    """What a function changes that outlives a call of it: all but the names that it gives values itself."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, (*FUNCTIONS, ast.Lambda)):
            yield from _remembered(inner, _set_in(inner))
            continue
        match inner:
            case ast.Global() | ast.Nonlocal() | ast.Yield() | ast.YieldFrom() | ast.Call(func=ast.Name(id="next")):
                yield f"changes what it remembers ({ast.unparse(inner)})"
            case ast.Call(func=ast.Attribute(attr=name, value=value)) if name in CHANGES and dotted(value) not in own:
                yield f"changes what it remembers ({ast.unparse(inner)})"
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield f"changes what it remembers ({ast.unparse(inner)})"
            case ast.Subscript(ctx=ast.Store() | ast.Del(), value=value) if dotted(value) not in own:
                yield f"changes what it remembers ({ast.unparse(inner)})"
        yield from _remembered(inner, own)


def _set_in(function: ast.AST) -> set[str]:
    """Names that are a function's own, but for those of functions in it."""
    found: set[str] = set()
    for inner in ast.iter_child_nodes(function):
        if isinstance(inner, (*FUNCTIONS, ast.Lambda)):
            continue
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            found.add(inner.id)
        found |= _set_in(inner)
    return found


def _kind_of(value: Any) -> str:
    """The annotation of a setting that has none."""
    return {bool: "bool", int: "int | float", float: "float", str: "str"}.get(type(value), "Any")
