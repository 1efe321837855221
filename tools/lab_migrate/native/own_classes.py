"""A part of the project's own that is built on one of Lab's: its classes, as they stand in one file."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs
import libcst as cst

from lab_bridge.config.schema import Builder, Schema
from lab_migrate.native.expressions import Expressions
from lab_migrate.native.hook_methods import may_draw
from lab_migrate.native.labs import is_labs
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.source_names import bases_of, imports_of, text_of

__all__ = ["OwnCode", "Refused", "made_of", "own_classes", "own_code"]

#: Makes the refusal of a part, of what is said of it and of the line, if it is not the registration's.
Refused = Callable[[Builder, str, int | None], NotNativeError]


@attrs.frozen
class OwnCode:
    """Classes as plain code, lines that import what they use, what of that is Lab's (`A of legacy_lab.b`), methods."""

    code: Sequence[str]
    imports: Sequence[str]
    labs: Sequence[str]
    methods: frozenset[str]


def own_classes(builder: Builder, *bases: str, alone: bool = False) -> list[str] | None:
    """The classes of one file from one of Lab's `bases` to this one, the latter last; None where it is no such line.

    With `alone` the first may be built on nothing.
    """
    if builder.function or is_labs(builder):
        return None
    tree = ast.parse(text_of(builder))
    definitions = {one.name: one for one in tree.body if isinstance(one, ast.ClassDef)}
    names = [builder.target.rpartition(".")[2]]
    while names[0] in definitions:
        definition = definitions[names[0]]
        found = bases_of(tree, definition)
        if definition.keywords:
            return None
        if (alone and not found) or (len(found) == 1 and found[0] in bases):
            return names
        spelled = [ast.unparse(base) for base in definition.bases]
        if len(spelled) != 1 or spelled[0] in names:
            return None
        names.insert(0, spelled[0])
    return None


def own_code(builder: Builder, names: Sequence[str], refused: Refused) -> OwnCode:
    """Take the classes of these names out of their file. Raises `NotNativeError` where they may draw when made."""
    module = cst.parse_module(text_of(builder))
    tree = ast.parse(module.code)
    definitions = {one.name: one for one in tree.body if isinstance(one, ast.ClassDef)}
    for line, said in _drawn_when_made(definitions[name] for name in names):
        raise refused(builder, said, line)
    classes = {one.name.value: one for one in module.body if isinstance(one, cst.ClassDef)}
    code = [_without_gin(module, classes[name]) for name in names]
    found, labs = imports_of(tree, builder, "\n\n".join(code))
    here = {f"from {builder.target.rpartition('.')[0]} import {name}" for name in names}
    methods = (one.name for name in names for one in definitions[name].body if isinstance(one, ast.FunctionDef))
    return OwnCode(code, [line for line in found if line not in here], labs, frozenset(methods))


def made_of(part: Any, builder: Builder, schema: Schema, refused: Refused) -> str:
    """The expression that makes a part. Raises `NotNativeError` for one that is given another object."""
    spelled = Expressions(schema)
    made = spelled.of(part)
    if len(spelled.lab) + len(spelled.imports) > 1:
        raise refused(builder, f"is given an object: {made}", None)
    return made


def _drawn_when_made(definitions: Iterable[ast.ClassDef]) -> Iterator[tuple[int, str]]:
    """The lines at which classes may draw when they are made, each with what is to be said of it.

    Gin makes such parts before the trainer sets its seed, the native script after it.
    """
    for definition in definitions:
        for part in definition.body:
            if isinstance(part, ast.FunctionDef) and part.name != "__init__":
                continue
            for call in (node for node in ast.walk(part) if isinstance(node, ast.Call)):
                if may_draw(call):
                    yield call.lineno, f"calls {ast.unparse(call.func)} when it is made: it may draw"


def _without_gin(module: cst.Module, definition: cst.ClassDef) -> str:
    """The class's source, without its registration."""
    kept = [one for one in definition.decorators if not module.code_for_node(one.decorator).startswith("gin.")]
    whole = definition.with_changes(decorators=kept, leading_lines=[], lines_after_decorators=[])
    return module.with_changes(header=[], footer=[], body=[whole]).code.strip("\n")
