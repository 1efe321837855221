"""The classes that a hook of the project's is built of: its own, and those of the project's below it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from lab_bridge.config.schema import Builder, Schema
from lab_bridge.config.sources.modules import Definition, Sources, dotted
from lab_migrate.native.hook_methods import refused
from lab_migrate.native.labs import is_labs
from lab_migrate.native.refused import NotNativeError

__all__ = ["hook_bases", "hook_classes", "looks_ahead_of_step", "without_classes"]

#: Learning rates of the trainer's optimizer, or of one of several.
RATES = re.compile(r"\.optimizer(\[[^]]*\])?\.groups")
BASE = "legacy_lab.train.hooks.Hook"


def hook_classes(builder: Builder, sources: Sources) -> list[Builder]:
    """From the one that is built on Lab's hook to the hook's own, each with its file and line.

    Raises `NotNativeError` where that is no single line of classes.
    """
    if is_labs(builder):  # whose sources are none of the project's
        return [builder]
    found: list[Builder] = []
    definition = sources.find(builder.target)
    while True:
        node = definition.node if isinstance(definition, Definition) else None
        if not isinstance(definition, Definition) or not isinstance(node, ast.ClassDef):
            raise refused(builder, builder.place.line or 0, "is no class at the top of its file")
        if node not in definition.module.tree.body:
            raise refused(builder, builder.place.line or 0, "is no class at the top of its file")
        name = builder.name if not found else definition.name
        found.insert(0, attrs.evolve(builder, name=name, target=definition.qualified, place=definition.place))
        bases = [sources.resolve(definition.module, dotted(base)) for base in node.bases if dotted(base)]
        if len(node.bases) != 1 or len(bases) != 1 or node.keywords:
            raise refused(found[0], node.lineno, f"is not built on {BASE} or on one class of the project's")
        (base,) = bases
        if base == BASE:
            return found
        if not isinstance(base, Definition) or base.qualified in [one.target for one in found]:
            raise refused(found[0], node.lineno, f"is not built on {BASE} or on one class of the project's")
        definition = base


def looks_ahead_of_step(builder: Builder, sources: Sources) -> bool:
    """Whether a hook looks at learning rates before a step: those of the update before, or those to begin with."""
    for one in hook_classes(builder, sources):
        definition = sources.find(one.target)
        node = definition.node if isinstance(definition, Definition) else None
        for method in node.body if isinstance(node, ast.ClassDef) else ():
            if getattr(method, "name", "") == "before_step" and RATES.search(ast.unparse(method)):
                return True
    return False


def hook_bases(root: Path, hooks: Iterable[Any], schema: Schema) -> Mapping[Path, list[str]]:
    """By file, the classes of the project's that its hooks are built on; none for one that will be refused."""
    sources = Sources()
    sources.add(root)
    found: dict[Path, list[str]] = {}
    for hook in hooks:
        builder = schema.builder_of(hook)
        if builder is None or is_labs(builder) or builder.function:
            continue
        try:
            below = hook_classes(builder, sources)[:-1]
        except NotNativeError:
            continue
        for one in below:
            found.setdefault(Path(one.place.file), []).append(one.target.rpartition(".")[2])
    return found


def without_classes(lines: Iterable[str], classes: Iterable[Builder], sources: Sources) -> list[str]:
    """Import lines without those classes, which move along. Raises `NotNativeError` for one under another name."""
    moved = {one.target: one for one in classes}
    kept = []
    for line in lines:
        (node,) = ast.parse(line).body
        if isinstance(node, ast.ImportFrom):
            names = []
            for alias in node.names:
                found = sources.find(f"{node.module}.{alias.name}")
                owner = moved.get(found.qualified) if isinstance(found, Definition) else None
                if owner is None:
                    names.append(alias)
                elif (alias.asname or alias.name) != owner.target.rpartition(".")[2]:
                    raise refused(owner, owner.place.line or 0, f"is called {alias.asname or alias.name} elsewhere")
            if not names:
                continue
            line = ast.unparse(ast.ImportFrom(node.module, names, node.level))
        kept.append(line)
    return kept
