"""Objects that a hook of the project's is given: a data set to look at, say.

Gin makes them before Lab's trainer sets the seed, a native training behind it, with the callback.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from lab_bridge.config.schema import Builder, Schema
from lab_bridge.config.sources.modules import dotted
from lab_migrate.native.draws import Draws
from lab_migrate.native.labs import is_labs
from lab_migrate.native.refused import NotNativeError

__all__ = ["assigned", "builders_in", "drawless_calls", "given_objects", "objects_of"]

#: What of Lab's a hook may be given: no making of it draws, and it is plain code in the native training.
DATA_SETS = ("legacy_lab.data.digits.Digits", "legacy_lab.data.text.Text")


def given_objects(root: Path, hooks: list[Any], schema: Schema) -> Iterator[NotNativeError]:
    """Those with which a native training would not do the same."""
    draws = Draws(root)
    for hook in hooks:
        owner = schema.builder_of(hook)
        if owner is None or is_labs(owner):
            continue
        for one in objects_of(hook, schema):
            if is_labs(one):
                why = None if one.target in DATA_SETS else "whose making may draw, or which stays with Lab"
            else:
                found = draws.by(one.target, "__init__")
                why = None if found is None else f"which {found} when it is made"
            if why is not None:
                yield NotNativeError(
                    "LM405", f"the hook {owner.name} is given {one.name}, {why}",
                    "have the hook make it in before_train, or stay at level L2", owner.place,
                )  # fmt: skip


def drawless_calls(
    hook: Any, schema: Schema, draws: Draws, methods: Mapping[str, ast.FunctionDef], home: str
) -> Callable[[ast.Call, str], bool]:
    """Tells of a call, in a hook's method of that name, whether it draws nothing for sure.

    It asks an object that the hook is given, `dataset.batch(…)` where it is made, `self.dataset.batch(…)` later, or
    calls it, `self.schedule(…)`; or a function of the project's that the file `home` of the method defines, or
    something quiet of Python's.
    """
    objects = {field.name: schema.builder_of(getattr(hook, field.name)) for field in attrs.fields(type(hook))}
    first = methods.get("__init__")
    stored = [ast.unparse(one) for part in methods.values() for one in ast.walk(part) if _is_stored(one)]
    kept: dict[str, Builder] = {}
    for node in ast.walk(first) if first is not None else ():
        for target, value in assigned(node):
            found = objects.get(value)
            if found is not None and stored.count(target) == 1 and value not in stored:
                kept[target] = found

    inner = [one.arg for part in methods.values() for one in ast.walk(part) if isinstance(one, ast.arg)]
    local = {*stored, *inner}  # whatever such a name stands for elsewhere in the file

    def is_drawless(call: ast.Call, method: str) -> bool:
        called = dotted(call.func)
        if called.partition(".")[0] not in local and draws.is_pythons(home, called):
            return True
        itself = objects.get(called) if method == "__init__" and called not in stored else kept.get(called)
        if itself is not None:  # `self.schedule(step)`
            return draws.has(itself.target, "__call__") and draws.by(itself.target, "__call__") is None
        if isinstance(call.func, ast.Name):
            full = f"{home}.{call.func.id}"
            return draws.is_function(full) and draws.by(full, "__call__") is None
        if not isinstance(call.func, ast.Attribute):
            return False
        name = ast.unparse(call.func.value)
        asked = objects.get(name) if method == "__init__" and name not in stored else kept.get(name)
        if asked is None:
            return False
        known = asked.target in DATA_SETS or draws.has(asked.target, call.func.attr)
        return known and draws.by(asked.target, call.func.attr) is None

    return is_drawless


def _is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store)


def assigned(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Targets and values of `self.dataset = dataset`, and of several such in one line."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            yield from ((ast.unparse(one), ast.unparse(value)) for one, value in zip(targets, values, strict=False))
        case ast.Assign(targets=[target], value=value):
            yield ast.unparse(target), ast.unparse(value)


def objects_of(value: Any, schema: Schema) -> Iterator[Builder]:
    """The builders of all that is made for an object, in it and in what that is given."""
    for field in attrs.fields(type(value)) if attrs.has(type(value)) else ():
        yield from builders_in(getattr(value, field.name), schema)


def builders_in(value: Any, schema: Schema) -> Iterator[Builder]:
    """The builders of a config's value, and of all that is made for it."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from builders_in(one, schema)
    elif attrs.has(type(value)):
        builder = schema.builder_of(value)
        if builder is not None:
            yield builder
        yield from objects_of(value, schema)
