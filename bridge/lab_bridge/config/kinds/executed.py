"""Configs that a script executes over its own globals: `exec(open("configurator.py").read())`, as in nanoGPT.

The settings are what the script binds above that line. A name that the config binds and the script does not know would
be ignored by it in silence; here it is an error.
"""

from __future__ import annotations

import ast
from pathlib import Path

from lab_bridge.config.kinds.kind import Declared, Question, Reading, parsed
from lab_bridge.config.nodes import Entries
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem
from lab_bridge.config.python.values import Function, Group, List, Named, Plain, Unknown, Value, as_tree

__all__ = ["declares", "read"]

NAME = "executed"


def read(question: Question) -> Reading | None:
    """The script's own settings, or a config over those of the script that knows most of its names."""
    if not question.is_python:
        return None
    own = declares(question, question.path)
    if own is not None:
        return Reading(Entries({}, place=Place(str(question.path))), NAME, own, own.problems, whole=True)
    names = {
        target.id
        for node in parsed(question.path).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    best: tuple[int, Path | None] = (0, None)
    for path in question.defaults or _scripts(question):
        declared = declares(question, path)
        known = set(declared.tree.entries) if declared is not None and declared.tree is not None else set()
        if len(names & known) > best[0]:
            best = (len(names & known), path)
    if best[1] is None or 2 * best[0] < len(names):
        return None
    return _over(question, best[1])


def _over(question: Question, script: Path) -> Reading:
    declared = declares(question, script)
    assert declared is not None, "it declared something a moment ago"
    program = question.program()
    before = program.scope(script, until=_executes)
    after = program.scope(question.path, before=before)
    problems: list[Problem] = []
    entries = {
        name: as_tree(value, problems, name)
        for name, value in after.items()
        if before.get(name) is not value and not name.startswith("_") and not isinstance(value, Named | Function)
    }
    root = Entries(entries, place=Place(str(question.path)))
    return Reading(root, NAME, declared, tuple(problems), (str(question.path), str(script)))


def declares(question: Question, path: Path) -> Declared | None:
    """What a script binds above the line that executes a config."""
    tree = parsed(path)
    if not any(map(_executes, tree.body)):
        return None
    program = question.program()
    scope = program.scope(path, until=_executes)
    kept: dict[object, Value] = {
        name: value for name, value in scope.items() if not name.startswith("_") and _is_setting(value)
    }
    if not kept:
        return None
    root = as_tree(Group(kept, "dict", Place(str(path))), [])
    assert isinstance(root, Entries), "a group is a mapping"
    return Declared(root)


def _is_setting(value: Value) -> bool:
    """Numbers, texts, truth values and lists of them; what only running tells is left to the script."""
    if isinstance(value, List):
        return all(isinstance(item, Plain | List) for item in value.items)
    return isinstance(value, Unknown) or (isinstance(value, Plain) and value.value is not None)


def _executes(node: ast.stmt) -> bool:
    """Whether a statement is `exec(open(…).read())` or the like."""
    return any(
        isinstance(inner, ast.Call)
        and isinstance(inner.func, ast.Name)
        and inner.func.id == "exec"
        and any(isinstance(part, ast.Name) and part.id == "open" for part in ast.walk(inner))
        for inner in ast.walk(node)
    ) and not isinstance(node, ast.FunctionDef | ast.ClassDef)


def _scripts(question: Question) -> list[Path]:
    """The project's scripts that execute configs."""
    found = []
    for path in sorted(question.root.glob("*.py")) if question.root is not None else []:
        try:
            if path != question.path.resolve() and any(map(_executes, parsed(path).body)):
                found.append(path)
        except ConfigErrors:
            continue
    return found
