"""ml_collections: a Python file whose `get_config()` makes a `ConfigDict`."""

from __future__ import annotations

import ast
from pathlib import Path

from lab_bridge.config.kinds.kind import Declared, Question, Reading, parsed
from lab_bridge.config.kinds.trees import docs_of
from lab_bridge.config.nodes import Entries
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem
from lab_bridge.config.python.values import Function, Group, Plain, Unknown, Value, as_tree

__all__ = ["declares", "read"]

NAME = "ml_collections"
_MAKES = ("get_config", "config", "default_config", "get_default_configs", "get_default_config", "d")


def read(question: Question) -> Reading | None:
    """What `get_config()` returns, or the file's one `ConfigDict`."""
    declared = declares(question, question.path) if question.is_python else None
    if declared is None or declared.tree is None:
        return None
    root = Entries({}, place=Place(str(question.path)))
    return Reading(root, NAME, declared, declared.problems, whole=True)


def declares(question: Question, path: Path) -> Declared | None:
    """The tree as the settings that there are, each with its value as the default."""
    made = _made(question, path)
    if made is None:
        return None
    if not isinstance(made, Group):
        shown = made.source if isinstance(made, Unknown) else type(made).__name__.lower()
        message = f"expected get_config() to return a ConfigDict that can be read without running it, found {shown}"
        raise ConfigErrors([Problem(made.place, "", "static", message)])
    problems: list[Problem] = []
    tree = as_tree(made, problems)
    assert isinstance(tree, Entries), "a group is a mapping"
    return Declared(tree, docs=docs_of(made), problems=tuple(problems))


def _made(question: Question, path: Path) -> Value | None:
    tree = parsed(path)
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in _MAKES]
    if not names and "ConfigDict" not in path.read_text(encoding="utf-8", errors="replace"):
        return None
    program = question.program()
    try:
        scope = program.scope(path)
    except (OSError, SyntaxError, ValueError):
        return None
    for name in names:
        function = scope.get(name)
        if isinstance(function, Function):
            made = program.called(function, _arguments(question), {})
            if isinstance(made, Group) or name == "get_config":
                return made
    found = [value for value in scope.values() if isinstance(value, Group) and value.kind == "ConfigDict"]
    return found[-1] if found else None


def _arguments(question: Question) -> list[Value]:
    """`config.py:tiny` gives `tiny` to `get_config`; here with --args."""
    return [Plain(question.arguments, Place("--args"))] if question.arguments else []
