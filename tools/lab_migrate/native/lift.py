"""Taking a class out of Lab's sources, with what it needs, as plain code without Lab and gin."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path

import attrs

__all__ = ["Lifted", "class_doc", "is_public", "lift", "method_source"]


@attrs.frozen
class Lifted:
    """Import lines, some of which may not be needed, and definitions in the order in which they are needed."""

    imports: tuple[str, ...] = ()
    code: tuple[str, ...] = ()

    def __add__(self, other: Lifted) -> Lifted:
        return Lifted(tuple(dict.fromkeys(self.imports + other.imports)), tuple(dict.fromkeys(self.code + other.code)))


@cache
def lift(target: str) -> Lifted:
    """Lift `legacy_lab.data.digits.Digits`. Raises `KeyError` for what Lab does not define."""
    module, _, name = target.rpartition(".")
    text, tree = _parsed(module)
    origin = _reexported(tree, name)
    if origin is not None:
        return lift(origin)
    found = Lifted()
    for needed in _needed(tree, name):
        found += _from_lab(tree, needed)
    wanted = set(_needed(tree, name))
    code = [_slice(text, statement) for statement in tree.body if wanted & set(_defines(statement))]
    return found + Lifted(tuple(_imports(tree)), tuple(code))


def is_public(package: str, name: str) -> bool:
    """Whether one of Lab's packages has a name for its users."""
    return _reexported(_parsed(package)[1], name) is not None


def class_doc(target: str) -> str:
    """The docstring of one of Lab's classes, as it is indented there."""
    module, _, name = target.rpartition(".")
    text, tree = _parsed(module)
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            return _slice(text, statement.body[0])
    raise KeyError(target)


def method_source(target: str, method: str) -> str:
    """The source of a method of one of Lab's classes, indented as it is there."""
    module, _, name = target.rpartition(".")
    text, tree = _parsed(module)
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            for part in statement.body:
                if isinstance(part, ast.FunctionDef) and part.name == method:
                    return _slice(text, part)
    raise KeyError(f"{target}.{method}")


@cache
def _parsed(module: str) -> tuple[str, ast.Module]:
    try:
        # found without being imported: only the empty packages above it are
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError as error:
        raise KeyError(module) from error
    if spec is None or spec.origin is None:
        raise KeyError(module)
    text = Path(spec.origin).read_text(encoding="utf-8")
    return text, ast.parse(text)


def _needed(tree: ast.Module, name: str) -> list[str]:
    """The module's own names that a definition of it uses, itself included."""
    own = {defined: statement for statement in tree.body for defined in _defines(statement)}
    if name not in own:
        raise KeyError(name)
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found[current] = None
        waiting += [node.id for node in ast.walk(own[current]) if isinstance(node, ast.Name) and node.id in own]
    return list(found)


def _from_lab(tree: ast.Module, name: str) -> Lifted:
    """What a definition uses of Lab's other modules."""
    own = {defined: statement for statement in tree.body for defined in _defines(statement)}
    used = {node.id for node in ast.walk(own[name]) if isinstance(node, ast.Name)}
    found = Lifted()
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ImportFrom) and _is_gone(statement.module):
            for alias in statement.names:
                if alias.name in used:
                    found += lift(f"{statement.module}.{alias.name}")
    return found


def _is_gone(module: str | None) -> bool:
    """Whether a module of Lab's is none of the block builder, which stays."""
    parts = (module or "").split(".")
    return parts[0] == "legacy_lab" and parts[1:2] != ["blocks"]


def _defines(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _imports(tree: ast.Module) -> list[str]:
    found = []
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and _is_gone(statement.module):
            continue
        if isinstance(statement, ast.Import | ast.ImportFrom):
            line = ast.unparse(statement)
            if line != "import gin":
                found.append(line)
    return found


def _reexported(tree: ast.Module, name: str) -> str | None:
    """Where a package has a name from that it does not define itself."""
    if any(name in _defines(statement) for statement in tree.body):
        return None
    for statement in tree.body:
        if not isinstance(statement, ast.ImportFrom) or (statement.module or "").split(".")[0] != "legacy_lab":
            continue
        if any(alias.name == name for alias in statement.names):
            return f"{statement.module}.{name}"
    return None


def _slice(text: str, node: ast.stmt) -> str:
    lines = text.splitlines()
    first = node.lineno
    decorators = getattr(node, "decorator_list", [])
    kept = [f"@{ast.unparse(one)}" for one in decorators if not ast.unparse(one).startswith("gin.")]
    indent = lines[first - 1][: len(lines[first - 1]) - len(lines[first - 1].lstrip())]
    return "\n".join([*(indent + one for one in kept), *lines[first - 1 : node.end_lineno]])
