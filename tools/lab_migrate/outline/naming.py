"""The line that brings the runtime into an outlined file, and names that the file does not have yet."""

from __future__ import annotations

import ast

from lab_migrate.analysis import Module
from lab_migrate.convert.rule import Edit
from lab_migrate.outline.level import RUNTIME

__all__ = ["PACKAGE", "after_imports", "identifiers", "import_of_runtime", "runtime_name", "unused"]

PACKAGE = "lab_adapters"


def import_of_runtime(module: Module, edits: list[Edit]) -> Edit:
    """After the imports at the top of the file, and before the first thing that changes."""
    name = runtime_name(module)
    text = f"from {PACKAGE} import {RUNTIME}" + (f" as {name}" if name != RUNTIME else "")
    newline = "\r\n" if module.lines[0].endswith(b"\r\n") else "\n"
    at = after_imports(module, before=min(edit.start for edit in edits))
    starts_line = at == 0 or module.text.encode()[at - 1 : at] in (b"\n", b"\r")
    return Edit(at, at, f"{text}{newline}" if starts_line else f"{newline}{text}{newline}")


def after_imports(module: Module, before: int | None = None, only: str = "") -> int:
    """The byte at which a line can be added after the imports at the top of a file, or after those of `only`.

    Never after the byte `before`.
    """
    last = None
    for node in module.tree.body:
        if before is not None and module.start(node) >= before:
            break
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            break
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        if only and is_import and getattr(node, "module", "") != only:
            break
        if is_import or (last is None and _is_docstring(node)):
            last = node
    if last is None:
        return module.offset(_first_code_line(module), 0)
    line = last.end_lineno or last.lineno
    return len(module.text.encode()) if line >= len(module.lines) else module.offset(line + 1, 0)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _first_code_line(module: Module) -> int:
    first = module.tree.body[0]
    decorators = getattr(first, "decorator_list", [])
    return decorators[0].lineno if decorators else first.lineno


def runtime_name(module: Module) -> str:
    """What a file calls the runtime."""
    return unused(RUNTIME, identifiers(module), "lab_outlined")


def unused(name: str, taken: set[str], other: str | None = None) -> str:
    """The name, `other`, or either with a number: the first that is not taken."""
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{other or name}_{count}" if count > 2 or other is None else other
    return candidate


def identifiers(module: Module) -> set[str]:
    """All names of a file, of whatever scope."""
    found: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.split(".")[0])
    return found
