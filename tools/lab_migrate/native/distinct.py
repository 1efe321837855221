"""Written files bring things of several files together: each name has to stand for one of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.native.refused import NotNativeError

__all__ = ["require_distinct"]

#: Where the same names stand for the same types.
ALIKE = ("collections.abc", "typing", "typing_extensions")


def require_distinct(path: str, text: str) -> None:
    """Raises `NotNativeError` where a file defines or imports two things under one name that it uses."""
    tree = ast.parse(text)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    bound: dict[str, str] = {}
    for node in tree.body:
        for name, origin in _bound(node):
            if bound.setdefault(name, origin) == origin:
                continue
            if name in used or origin.startswith("the class"):
                raise NotNativeError(
                    "LM405", f"{path} would have two things under the name {name}: {bound[name]} and {origin}",
                    "rename one of them",
                )  # fmt: skip


def _bound(node: ast.stmt) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Import(names=names):
            for alias in names:
                yield alias.asname or alias.name.split(".")[0], alias.name if alias.asname else alias.name.split(".")[0]
        case ast.ImportFrom(module=module, names=names):
            for alias in names:
                home = "typing" if module in ALIKE else module
                yield alias.asname or alias.name, f"{home}.{alias.name}"
        case ast.ClassDef(name=name):
            yield name, f"the class of line {node.lineno}"
        case ast.FunctionDef(name=name):
            yield name, f"the function of line {node.lineno}"
