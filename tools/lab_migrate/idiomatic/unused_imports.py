"""Imports that the rewriting has made unused: they go, where importing does nothing else and nobody takes them."""

from __future__ import annotations

import ast
import re
import sys

from lab_migrate.analysis import CallGraph, Module
from lab_migrate.convert.engine import apply
from lab_migrate.convert.rule import Edit

#: Packages besides Python's own whose modules are imported for their names alone.
_FOR_NAMES = {"torch", "tqdm"}
_Import = ast.Import | ast.ImportFrom


def unused_imports(module: Module, edits: list[Edit], graph: CallGraph) -> list[Edit]:
    """Edits that remove the imports of a file that its edits leave unused, and that it used before."""
    after = apply(module.text, edits, module.path)
    used_before, used_now = _words(module.text, module.tree), _words(after, ast.parse(after))
    taken = {full for other in graph.project.modules.values() if other is not module for full in other.symbols.imported}
    if f"{module.name}.*" in taken:
        return []
    found: list[Edit] = []
    for node in module.tree.body:
        if not isinstance(node, _Import) or not _for_names(node):
            continue
        gone = [
            alias
            for alias in node.names
            if (name := _bound(alias)) in used_before - used_now and f"{module.name}.{name}" not in taken
        ]
        found += _removed(module, node, gone) if gone else []
    return found


def _for_names(node: _Import) -> bool:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    level = node.level if isinstance(node, ast.ImportFrom) else 0
    roots = {name.partition(".")[0] for name in names}
    return not level and roots <= (_FOR_NAMES | sys.stdlib_module_names) - {"__future__"}


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _words(text: str, tree: ast.Module) -> set[str]:
    """Words of a file outside of its imports: comments and texts count, since a text may hold an annotation."""
    lines = text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, _Import):
            for line in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[line] = ""
    return set(re.findall(r"\w+", "\n".join(lines)))


def _removed(module: Module, node: _Import, gone: list[ast.alias]) -> list[Edit]:
    if len(gone) == len(node.names):
        last = node.end_lineno or node.lineno
        end = module.offset(last, 0) + len(module.lines[last - 1])
        alone = module.lines[last - 1].decode()[: node.end_col_offset].strip() and b";" not in module.lines[last - 1]
        return [Edit(module.offset(node.lineno, 0), end, "")] if alone else []
    kept = [alias for alias in node.names if not any(alias is one for one in gone)]
    after_kept = node.names[node.names.index(kept[-1]) + 1 :]
    edits = [
        Edit(_start(module, alias), _start(module, node.names[node.names.index(alias) + 1]), "")
        for alias in gone
        if not any(alias is one for one in after_kept)
    ]
    return [*edits, Edit(_end(module, kept[-1]), _end(module, after_kept[-1]), "")] if after_kept else edits


def _start(module: Module, alias: ast.alias) -> int:
    return module.offset(alias.lineno, alias.col_offset)


def _end(module: Module, alias: ast.alias) -> int:
    return module.offset(alias.end_lineno or alias.lineno, alias.end_col_offset or 0)
