"""Configs that are Python modules: mmengine's dicts with `_base_`, lazy calls (detectron2), plain assignments."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import attrs

from lab_bridge.config.kinds.interpolation import interpolated
from lab_bridge.config.kinds.kind import Declared, Question, Reading, parsed
from lab_bridge.config.kinds.trees import merged
from lab_bridge.config.nodes import Entries, Leaf, Node, children
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem
from lab_bridge.config.python.files import read_source
from lab_bridge.config.python.program import Program
from lab_bridge.config.python.values import Function, Group, Named, Value, as_tree, value_of
from lab_bridge.config.reading.yaml import read_yaml

__all__ = ["declares", "read", "with_bases"]

NAME = "python"
DELETE = "_delete_"
_OF_BASE = re.compile(r"""(['"]?)\{\{\s*(_base_(?:\.\w+)+)\s*\}\}\1""")
_FILLED = re.compile(r"\{\{\s*(\w+)\s*(?::[^}]*)?\}\}")


def read(question: Question) -> Reading | None:
    """What the module binds, over its bases."""
    if not question.is_python:
        return None
    problems: list[Problem] = []
    files: list[str] = []
    root = with_bases(question, question.path, problems, files, ())
    if not root.entries:
        place = Place(str(question.path))
        raise ConfigErrors([Problem(place, "", "syntax", "expected a config, found a module that binds no values")])
    problems += _filled(root, "")
    root = interpolated(root, problems)
    return Reading(root, NAME, None, tuple(problems), tuple(files))


def declares(question: Question, path: Path) -> Declared | None:
    """Nothing: such a module is the config itself."""
    return None


def with_bases(
    question: Question, path: Path, problems: list[Problem], files: list[str], above: tuple[Path, ...]
) -> Entries:
    """A file over those that its `_base_` names. Raises `ConfigErrors`."""
    files.append(str(path))
    if path.suffix != ".py":
        tree = read_yaml(path)
        if not isinstance(tree, Entries):
            raise ConfigErrors([Problem(tree.place, "", "type", "expected a mapping at the top of a config")])
        names = _texts(tree.entries.get("_base_"))
        own = attrs.evolve(tree, entries={key: value for key, value in tree.entries.items() if key != "_base_"})
        return merged(_bases(question, path, names, tree.place, problems, files, above), own, DELETE)
    names, place = _named(parsed_with_base(path), path)
    base = _bases(question, path, names, place, problems, files, above)
    scope = _scope(question.program(), path, base)
    entries = {
        name: as_tree(value, problems, name)
        for name, value in scope.items()
        if not name.startswith("_") and _is_value(value)
    }
    return merged(base, Entries(entries, place=Place(str(path))), DELETE)


def parsed_with_base(path: Path) -> ast.Module:
    """The module, with mmengine's references to its base as Python. Raises `ConfigErrors`."""
    try:
        return ast.parse(_OF_BASE.sub(r"\2", read_source(path)))
    except (OSError, SyntaxError, ValueError):
        return parsed(path)


def _scope(program: Program, path: Path, base: Entries) -> dict[str, Value]:
    before = {"_base_": value_of(base)} if base.entries else {}
    return program.scope(path, before=before, text=_OF_BASE.sub(r"\2", read_source(path)), skip=_is_base)


def _is_base(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "_base_" for t in node.targets)


def _named(tree: ast.Module, path: Path) -> tuple[list[str], Place]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and _is_base(node):
            try:
                value = ast.literal_eval(node.value)
            except (ValueError, TypeError, SyntaxError):
                message = f"expected file names, found {ast.unparse(node.value)[:60]}"
                raise ConfigErrors([Problem(Place(str(path), node.lineno), "_base_", "static", message)]) from None
            return [value] if isinstance(value, str) else list(value), Place(str(path), node.lineno)
    return [], Place(str(path))


def _bases(
    question: Question,
    path: Path,
    names: list[str],
    place: Place,
    problems: list[Problem],
    files: list[str],
    above: tuple[Path, ...],
) -> Entries:
    base = Entries({}, place=place)
    for name in names:
        if "::" in name:
            message = f"expected a file below the project, found {name}, of an installed package"
            raise ConfigErrors([Problem(place, "_base_", "include", message, "copy it into the project")])
        file = (path.parent / name).resolve()
        if file in above or file == path.resolve():
            message = f"expected files that are based on each other in no circle, found {name} again"
            raise ConfigErrors([Problem(place, "_base_", "include", message)])
        if not file.is_file():
            raise ConfigErrors([Problem(place, "_base_", "include", f"expected a config file, found no {file}")])
        inner = with_bases(question, file, problems, files, (*above, path.resolve()))
        twice = set(base.entries) & set(inner.entries)
        if twice:
            message = f"expected bases with keys of their own, found {', '.join(map(str, sorted(twice)))} in several"
            raise ConfigErrors([Problem(place, "_base_", "duplicate", message)])
        base = merged(base, inner)
    return base


def _is_value(value: Value) -> bool:
    if isinstance(value, Group):
        return value.kind != "module"
    return not isinstance(value, Named | Function)


def _texts(node: Node | None) -> list[str]:
    if isinstance(node, Leaf) and isinstance(node.value, str):
        return [node.value]
    return [text for _, inner in children(node) for text in _texts(inner)] if node is not None else []


def _filled(node: Node, path: str) -> list[Problem]:
    """Texts that the framework fills in when it runs."""
    if isinstance(node, Leaf) and isinstance(node.value, str) and (match := _FILLED.search(node.value)) is not None:
        message = f"expected a value, found {node.value!r}, which is filled in at run time"
        return [Problem(node.place, path.lstrip("."), "static", message, f"write the value of {match[1]} out")]
    return [problem for part, inner in children(node) for problem in _filled(inner, f"{path}{part}")]
