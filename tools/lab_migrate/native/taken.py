"""Classes of a project that are written anew, and the files that they are taken out of."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import libcst as cst
import libcst.matchers as m

from lab_bridge.config.schema import Schema
from lab_migrate.native.labs import is_labs
from lab_migrate.native.registrations import without_registrations
from lab_migrate.project import read_source

__all__ = ["Taken", "taken_out"]


@attrs.frozen
class Taken:
    """A file's text, and its text without what the native training has in a form of its own, or not at all: `names`."""

    before: str
    after: str
    names: frozenset[str] = frozenset()


def taken_out(
    root: Path, parts: Sequence[Any], schema: Schema, more: Mapping[Path, Sequence[str]] | None = None
) -> Mapping[str, Taken]:
    """By path, the project's files that define any of these parts, or `more` classes."""
    classes: dict[Path, set[str]] = {path: set(names) for path, names in (more or {}).items()}
    for part in parts:
        builder = schema.builder_of(part)
        if builder is not None and not is_labs(builder):
            classes.setdefault(Path(builder.place.file), set()).add(builder.target.rpartition(".")[2])
    found = {}
    for path, names in classes.items():
        text = read_source(path)
        found[path.resolve().relative_to(root.resolve()).as_posix()] = Taken(
            text, _without(text, names), frozenset(names)
        )
    return found


def _without(text: str, names: set[str]) -> str:
    """The file without some definitions, and without the imports that only these needed."""
    module = cst.parse_module(without_registrations(text, names))
    gone: list[Any] = [one for one in module.body if _is_named(one, names)]
    rest = module.with_changes(body=[one for one in module.body if one not in gone])
    gone += [one for one in rest.body if _is_for_types(one) and not _names(one) & _used(rest.code)]
    rest = rest.with_changes(body=[one for one in rest.body if one not in gone])
    unused = _used(text) - _used(rest.code)
    lines: list[Any] = []
    above: Any = ()
    for one in rest.body:
        line = _pruned(one, unused)
        if line is None:
            above = above or one.leading_lines  # a gap between two groups of imports stays
        else:
            lines.append(line.with_changes(leading_lines=line.leading_lines or above))
            above = ()
    return rest.with_changes(body=lines).code.lstrip("\n")


def _is_named(statement: Any, names: set[str]) -> bool:
    return isinstance(statement, cst.ClassDef | cst.FunctionDef) and statement.name.value in names


def _is_for_types(statement: Any) -> bool:
    """`if TYPE_CHECKING:`, without an `else`."""
    if not isinstance(statement, cst.If) or statement.orelse is not None:
        return False
    return m.matches(statement.test, m.Name("TYPE_CHECKING"))


def _names(statement: Any) -> set[str]:
    """What a block imports."""
    found = ast.walk(ast.parse(cst.Module(body=[statement]).code))
    return {node.asname or node.name for node in found if isinstance(node, ast.alias)}


def _used(code: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def _pruned(statement: Any, unused: set[str]) -> Any:
    """An import without the names that nothing uses any more; None where that leaves none."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return statement
    imported = statement.body[0]
    if not isinstance(imported, cst.Import | cst.ImportFrom) or isinstance(imported.names, cst.ImportStar):
        return statement
    names = [one for one in imported.names if (one.evaluated_alias or one.evaluated_name).split(".")[0] not in unused]
    if len(names) == len(imported.names):
        return statement
    if not names:
        return None
    names[-1] = names[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return statement.with_changes(body=[imported.with_changes(names=names)])
