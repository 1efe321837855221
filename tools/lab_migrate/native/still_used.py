"""Where a project still uses a class that leaves its file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab_bridge.config.sources.modules import Definition, Sources, dotted
from lab_migrate.findings import Finding, Status
from lab_migrate.native.files import File
from lab_migrate.native.source_names import imported_from
from lab_migrate.native.taken import Taken

__all__ = ["still_used"]


def still_used(root: Path, files: Mapping[str, File], entry: str, taken: Mapping[str, Taken]) -> Iterator[Finding]:
    """A finding at each place: in its own file, where it is imported, or asked of its module.

    Relative imports, names that a package hands on and `import *` are followed. The script `entry` is written anew.
    """
    sources = Sources()
    modules = {sources.file_of(name): name for name in sources.add(root)}
    gone = {(root / path, name) for path, one in taken.items() for name in one.names}
    for path, file in files.items():
        if path == entry:
            continue
        here = taken[path].names if path in taken else frozenset[str]()
        module = modules.get(root / path, "")
        package = module if Path(path).name == "__init__.py" else module.rpartition(".")[0]
        bound = _bound(file.tree, package)
        left = [one for one in file.tree.body if getattr(one, "name", "") not in here]
        for node in (part for one in left for part in ast.walk(one)):
            for full in _meant(node, package, module, bound):
                found = sources.find(full)
                if isinstance(found, Definition) and (found.module.path, found.name) in gone:
                    yield _finding(path, node, found.name)


def _bound(tree: ast.Module, package: str) -> dict[str, str]:
    """What a file's imports stand for, by the name that they give it."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                found[alias.asname or first] = alias.name if alias.asname else first
        if isinstance(node, ast.ImportFrom):
            home = imported_from(node, package)
            found |= {alias.asname or alias.name: f"{home}.{alias.name}" for alias in node.names}
    return found


def _meant(node: ast.AST, package: str, module: str, bound: Mapping[str, str]) -> list[str]:
    """The full names of what a node may take out of a file; of an imported name the import tells already."""
    match node:
        case ast.ImportFrom(names=names):
            return [f"{imported_from(node, package)}.{alias.name}" for alias in names]
        case ast.Name(id=name) if name not in bound:
            return [f"{module}.{name}"]
        case ast.Attribute() if name := dotted(node):
            first, _, rest = name.partition(".")
            return [f"{bound[first]}.{rest}"] if first in bound else []
        case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=listed) | ast.Tuple(elts=listed)):
            return [
                f"{module}.{one.value}"
                for one in listed
                if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
    return []


def _finding(path: str, node: ast.AST, name: str) -> Finding:
    assert isinstance(node, ast.expr | ast.stmt)
    return Finding(
        path, node.lineno, node.col_offset + 1, "LM403", Status.MANUAL,
        f"uses {name}, which moves into the native training in another form",
        "use what the native training has, or give this code a class of its own",
    )  # fmt: skip
