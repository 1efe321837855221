"""What a project's code makes itself, where gin would hand it settings: a native training has no gin that would."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lab_bridge.config.documents import Document
from lab_bridge.config.nodes import Call, Node, children
from lab_bridge.config.schema import Builder
from lab_bridge.config.sources.modules import Definition, Sources, dotted
from lab_migrate.findings import Finding, Status
from lab_migrate.native.files import File
from lab_migrate.native.labs import is_labs

__all__ = ["called_with_settings"]


def called_with_settings(
    root: Path, files: Mapping[str, File], entry: str, document: Document, left_out: Iterable[Finding]
) -> Iterator[Finding]:
    """A finding at each call of a builder that lacks a parameter which the config binds.

    `entry` is written anew, and what is `left_out` of a file calls nothing.
    """
    gone = {(one.path, one.line) for one in left_out}
    sources = Sources()
    names = {sources.file_of(name): name for name in sources.add(root)}
    made = {one for call in document.entries.values() for one in _made(call, document)}
    for path, file in files.items():
        module = sources.module(names.get(root / path, ""))
        if path == entry or module is None:
            continue
        decorating = {id(one) for node in ast.walk(file.tree) for one in getattr(node, "decorator_list", ())}
        for node in (part for one in file.tree.body if (path, one.lineno) not in gone for part in ast.walk(one)):
            name = dotted(node.func) if isinstance(node, ast.Call) and id(node) not in decorating else ""
            if not isinstance(node, ast.Call) or not name:
                continue
            meant = sources.resolve(module, name)
            builder = document.schema.at(meant.qualified if isinstance(meant, Definition) else meant)
            if builder is None:
                continue
            lacking = sorted(_bound(builder, made, document) - _given(node, builder))
            if lacking:
                yield Finding(
                    path, node.lineno, node.col_offset + 1, "LM405", Status.UNSUPPORTED,
                    f"calls {name} without {', '.join(lacking)}, which gin gives it by the config's {builder.name}."
                    f"{lacking[0]}; a native training has no gin",
                    "give it the value here, which changes nothing, or stay at level L2",
                )  # fmt: skip


def _made(node: Node, document: Document) -> Iterator[tuple[tuple[str, ...], str]]:
    """What of the project's own is made, each with its scope."""
    if isinstance(node, Call):
        builder = document.schema.builders.get(node.name)
        if builder is not None and not is_labs(builder):
            yield node.scope, node.name
    for _, inner in children(node):
        yield from _made(inner, document)


def _bound(builder: Builder, made: set[tuple[tuple[str, ...], str]], document: Document) -> set[str]:
    """The parameters that bindings give it outside of all scopes, or in one of anything else's that may call it."""
    scopes = {scope for scope, name in made if name != builder.name}
    found: set[str] = set()
    for (scope, name), parameters in document.bound.items():
        if name == builder.name and any(one[: len(scope)] == scope for one in {*scopes, ()}):
            found |= set(parameters)
    return found


def _given(call: ast.Call, builder: Builder) -> set[str]:
    """The parameters that a call surely gives."""
    positional = [one for one in call.args if not isinstance(one, ast.Starred)]
    return {
        *(one.name for one, _ in zip(builder.parameters, positional, strict=False)),
        *(one.arg for one in call.keywords if one.arg is not None),
    }
