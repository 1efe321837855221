"""Bases that gin fills in: it hands a class's bindings to its `__init__` also where a subclass runs that."""

from __future__ import annotations

import ast
import itertools

from lab_bridge.config.schema import ALWAYS, INHERITED, Builder, Schema
from lab_bridge.config.sources.modules import Definition, Sources
from lab_bridge.config.sources.signatures import ancestry

__all__ = ["initialised_base"]


def initialised_base(
    definition: Definition, schema: Schema, sources: Sources
) -> tuple[Builder, set[str], tuple[str, str]] | None:
    """The nearest base that is a builder, the parameters that it is always given, and how; None where none is run."""
    if not isinstance(definition.node, ast.ClassDef):
        return None
    when, given = INHERITED, list[ast.Call]()
    below = definition.node
    for base in ancestry(definition, sources)[1:]:
        if not isinstance(base, Definition) or not isinstance(base.node, ast.ClassDef):
            continue
        if any(isinstance(one, ast.FunctionDef) and one.name == "__init__" for one in below.body):
            given = _calls(below)
            if not given:
                return None
            spread = any(keyword.arg is None for call in given for keyword in call.keywords)
            when = INHERITED if spread else ALWAYS
        builder = schema.at(base.qualified)
        if builder is not None:
            passed = [_passed(call, builder) for call in given]
            return builder, set.intersection(*passed) if passed else set(), when
        below = base.node
    return None


def _calls(node: ast.ClassDef) -> list[ast.Call]:
    """`super().__init__(…)`, or that of a base by its name, in the class's own `__init__`."""
    [init] = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"][:1]
    return [
        call
        for call in ast.walk(init)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"
    ]


def _passed(call: ast.Call, builder: Builder) -> set[str]:
    assert isinstance(call.func, ast.Attribute)
    arguments = call.args if isinstance(call.func.value, ast.Call) else call.args[1:]  # `Base.__init__(self, …)`
    # How many stand behind a star is not known; gin itself gives a class none by position.
    known = itertools.takewhile(lambda one: not isinstance(one, ast.Starred), arguments)
    found = {parameter.name for parameter, _ in zip(builder.parameters, known, strict=False)}
    return found | {keyword.arg for keyword in call.keywords if keyword.arg is not None}
