"""Variables of a file that classes leave, and that other files give other values: `settings.scale = 2`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from lab_migrate.findings import Finding, Status
from lab_migrate.native.effects import changed_elsewhere
from lab_migrate.native.files import File
from lab_migrate.native.taken import Taken

__all__ = ["rebound"]


def rebound(files: Mapping[str, File], taken: Mapping[str, Taken]) -> Iterator[Finding]:
    """A finding at each place: what moves has imported the first value by then."""
    for path, one in taken.items():
        module = path.removesuffix("/__init__.py").removesuffix(".py").rpartition("/")[2]
        known = {f"{module}.{name}" for name in _asked_for(files[path].tree, one.names)}
        for other, file in files.items():
            for statement in changed_elsewhere(file.tree):
                for node in ast.walk(statement):
                    if not isinstance(node, ast.Attribute) or isinstance(node.ctx, ast.Load):
                        continue
                    owner = _meant(file.tree, ast.unparse(node.value)).rpartition(".")[2]
                    if f"{owner}.{node.attr}" in known:
                        yield Finding(
                            other, node.lineno, node.col_offset + 1, "LM405", Status.UNSUPPORTED,
                            f"sets {node.attr} of {path}, which a class that moves into another file looks at",
                            "keep it on an object, or stay at level L2",
                        )  # fmt: skip


def _asked_for(tree: ast.Module, names: frozenset[str]) -> set[str]:
    """The file's variables that some of its classes use."""
    classes = [one for one in tree.body if isinstance(one, ast.ClassDef) and one.name in names]
    used = {node.id for one in classes for node in ast.walk(one) if isinstance(node, ast.Name)}
    variables = (node for one in tree.body if isinstance(one, ast.Assign | ast.AnnAssign) for node in ast.walk(one))
    return {node.id for node in variables if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)} & used


def _meant(tree: ast.Module, name: str) -> str:
    """A module's own name, where a file calls it otherwise."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                if alias.asname == name:
                    return alias.name
    return name
