"""yacs and fvcore: a tree of `CfgNode` defaults in Python, and YAML files that override it.

As yacs does: texts that are Python literals are those; lists and tuples stand for each other; a key that the defaults
lack is refused. `_BASE_` (fvcore) and `BASE` (a list, as Swin Transformer reads it) name files that are merged first.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import attrs

from lab_bridge.config.kinds.kind import Declared, Question, Reading, parsed
from lab_bridge.config.kinds.trees import docs_of, merged, texts_of, with_literals
from lab_bridge.config.nodes import Entries, Node
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem
from lab_bridge.config.python.program import Program
from lab_bridge.config.python.values import Function, Group, as_tree
from lab_bridge.config.reading.yaml import read_yaml

__all__ = ["declares", "read"]

NAME = "yacs"
_MENTIONS = re.compile(rb"\b(CfgNode|CN)\(|\bdef add_\w*(config|cfg)")
_EXTENDS = re.compile(r"^add_\w*(config|cfg)\w*$")
_LARGEST = 2_000_000


def read(question: Question) -> Reading | None:
    """A YAML file over defaults, or the defaults themselves."""
    if question.is_python:
        declared = declares(question, question.path)
        if declared is None or declared.tree is None:
            return None
        return Reading(Entries({}, place=Place(str(question.path))), NAME, declared, declared.problems, whole=True)
    if question.path.suffix not in (".yaml", ".yml"):
        return None
    files: list[str] = []
    given = _with_bases(question.path, files, ())
    declared = _defaults(question, given)
    if declared is None:
        return None
    return Reading(given, NAME, declared, declared.problems, tuple(files))


def declares(question: Question, path: Path) -> Declared | None:
    """The defaults in a Python file."""
    return _declared(question, [path]) if _is_about(path) else None


def _defaults(question: Question, given: Entries) -> Declared | None:
    """The defaults that a config's keys are from: those the user named, or the project's that know most of them."""
    if question.defaults:
        return _declared(question, question.defaults) if any(map(_is_about, question.defaults)) else None
    if question.root is None:
        return None
    keys = {str(key) for key in given.entries} - {"_BASE_", "BASE"}
    best: tuple[int, Declared | None] = (0, None)
    for path in sorted(question.root.rglob("*.py"), key=lambda path: len(path.parts)):
        if _is_about(path):
            declared = _declared(question, [path, *_extensions(question)])
            known = {str(key) for key in declared.tree.entries} if declared is not None and declared.tree else set()
            if len(keys & known) > best[0]:
                best = (len(keys & known), declared)
            if best[0] == len(keys):
                break
    return best[1] if 2 * best[0] >= len(keys) and best[0] else None


def _is_about(path: Path) -> bool:
    try:
        return path.stat().st_size < _LARGEST and _MENTIONS.search(path.read_bytes()) is not None
    except OSError:
        return False


def _extensions(question: Question) -> list[Path]:
    """Files of the nearest folder above the config that add settings of their own (`add_pointrend_config(cfg)`)."""
    for folder in question.path.resolve().parents:
        if question.root is None or folder == question.root.resolve():
            return []
        found = [path for path in sorted(folder.rglob("*.py")) if _is_about(path) and any(_extenders(path))]
        if found:
            return found
    return []


def _extenders(path: Path) -> Iterator[ast.FunctionDef]:
    try:
        tree = parsed(path)
    except ConfigErrors:
        return
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and _EXTENDS.match(node.name) and len(node.args.args) == 1:
            yield node


def _declared(question: Question, paths: list[Path] | tuple[Path, ...]) -> Declared | None:
    program = question.program()
    root = next((found for path in paths if (found := _root(program, path)) is not None), None)
    if root is None:
        return None
    for path in paths:
        for node in _extenders(path):
            function = program.scope(path).get(node.name)
            if isinstance(function, Function):
                program.called(function, [root], {})
    # what is not known here is left to the program
    tree = as_tree(root, [])
    assert isinstance(tree, Entries), "a group is a mapping"
    return Declared(tree, docs=docs_of(root))


def _root(program: Program, path: Path) -> Group | None:
    """The largest tree of settings that a module makes, at its top or in a function that takes nothing."""
    try:
        scope = program.scope(path)
    except (OSError, SyntaxError, ValueError):
        return None
    found = [value for value in scope.values() if isinstance(value, Group) and value.kind in ("CfgNode", "open")]
    if not found:
        for value in list(scope.values()):
            if isinstance(value, Function) and isinstance(value.node, ast.FunctionDef) and _takes_nothing(value.node):
                made = program.called(value, [], {})
                found += [made] if isinstance(made, Group) and made.kind == "CfgNode" else []
    return max((group for group in found if group.entries), key=lambda group: _size(group), default=None)


def _takes_nothing(node: ast.FunctionDef) -> bool:
    return len(node.args.args) == len(node.args.defaults)


def _size(group: Group) -> int:
    return sum(_size(value) if isinstance(value, Group) else 1 for value in group.entries.values())


def _with_bases(path: Path, files: list[str], above: tuple[Path, ...]) -> Entries:
    """A file over those that it is based on. Raises `ConfigErrors`."""
    root: Node = read_yaml(path)
    if not isinstance(root, Entries):
        raise ConfigErrors([Problem(root.place, "", "type", "expected a mapping at the top of a config")])
    files.append(str(path))
    bases = Entries({}, place=root.place)
    for key in ("_BASE_", "BASE"):
        for name in filter(None, texts_of(root.entries.get(key))):
            base = path.parent / Path(name).expanduser()
            place = root.entries[key].place
            if base.resolve() in above or base.resolve() == path.resolve():
                message = f"expected files that are based on each other in no circle, found {name} again"
                raise ConfigErrors([Problem(place, key, "include", message)])
            if not base.is_file():
                raise ConfigErrors([Problem(place, key, "include", f"expected a config file, found no {base}")])
            bases = merged(bases, _with_bases(base, files, (*above, path.resolve())))
    own = with_literals(attrs.evolve(root, entries={k: v for k, v in root.entries.items() if k != "_BASE_"}))
    assert isinstance(own, Entries), "a mapping stays one"
    return merged(bases, own)
