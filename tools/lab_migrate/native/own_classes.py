"""A part of the project's own that is built on one of Lab's: its classes, as they stand in one file."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import libcst as cst

from lab_bridge.config.schema import Builder
from lab_migrate.native.hook_methods import may_draw
from lab_migrate.native.labs import is_labs
from lab_migrate.native.source_names import bases_of, text_of

__all__ = ["drawn_when_made", "own_classes", "without_gin"]


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


def drawn_when_made(definitions: Iterable[ast.ClassDef]) -> Iterator[tuple[int, str]]:
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


def without_gin(module: cst.Module, definition: cst.ClassDef) -> str:
    """The class's source, without its registration."""
    kept = [one for one in definition.decorators if not module.code_for_node(one.decorator).startswith("gin.")]
    whole = definition.with_changes(decorators=kept, leading_lines=[], lines_after_decorators=[])
    return module.with_changes(header=[], footer=[], body=[whole]).code.strip("\n")
