"""What a script does to the process beside training: itself, and by the modules that it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab_bridge.config.sources.modules import Sources, dotted

__all__ = ["changed_elsewhere", "modules_with_effects"]

#: What calls at a file's top level only tell gin and Lab of the file's classes.
REGISTERING = ("gin.", "legacy_lab.")


def changed_elsewhere(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements, wherever they stand, that change what the file has imported: `torch.backends.… = True`."""
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        match node:
            case ast.Assign(targets=found) | ast.Delete(targets=found):
                targets = found
            case ast.AugAssign() | ast.AnnAssign():
                targets = [node.target]
        for one in targets:
            if isinstance(one, ast.Attribute | ast.Subscript) and _root(one) in imported:
                assert isinstance(node, ast.stmt)
                yield node


def modules_with_effects(root: Path, entry: str, tree: ast.Module) -> list[str]:
    """Modules of the project that do something when the script imports them, in the order in which that happens.

    By the names under which the script finds them: its folder is where Python looks first.
    """
    sources = Sources()
    sources.add(root)
    home = Path(entry).parent.as_posix().replace("/", ".")
    found: dict[str, bool] = {}
    for name in _imported(tree.body, ""):
        _follow(name, "" if home == "." else f"{home}.", sources, found)
    return [name for name, acts in found.items() if acts]


def _follow(name: str, home: str, sources: Sources, found: dict[str, bool]) -> None:
    full = name if sources.file_of(name) is not None else f"{home}{name}"
    module = sources.module(full)
    if module is None or name in found:
        return
    found[name] = False  # a module that leads to itself
    package = full if module.path.name == "__init__.py" else full.rpartition(".")[0]
    for inner in _imported(module.tree.body, package):
        _follow(inner, home, sources, found)
    changing = set(changed_elsewhere(module.tree))
    acts = any(_calls(one) or one in changing for one in _top_level(module.tree.body))
    found[name] = found.pop(name) or acts  # behind what it imports


def _imported(body: Iterable[ast.stmt], package: str) -> Iterator[str]:
    """Modules that statements at a file's top level import, and those that may be one of the names."""
    for node in _top_level(body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                yield from (".".join(parts[: length + 1]) for length in range(len(parts)))
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".") if package else []
            base = above[: len(above) - node.level + 1] if node.level else []
            home = ".".join([*base, *([node.module] if node.module else [])])
            yield home
            yield from (f"{home}.{alias.name}" for alias in node.names)


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs when a file is imported."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("__name__ == '__main__'", "TYPE_CHECKING"):
            continue
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
            inner = [*node.body, *getattr(node, "orelse", ()), *getattr(node, "finalbody", ())]
            yield from _top_level([*inner, *(one for part in getattr(node, "handlers", ()) for one in part.body)])


def _calls(node: ast.stmt) -> bool:
    """A call for what it does."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    return not dotted(node.value.func).startswith(REGISTERING)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
