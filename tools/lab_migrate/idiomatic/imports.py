"""`import lightning as L`, where a reader would put it."""

from __future__ import annotations

import ast
import re

from lab_migrate.analysis.sources import Module
from lab_migrate.convert.rule import Edit

#: What the lines that take the loop's place may use, and where it is imported from.
_OF_LIGHTNING = {
    "CombinedLoader": "lightning.pytorch.utilities",
    "MixedPrecision": "lightning.pytorch.plugins",
    "LightningEnvironment": "lightning.pytorch.plugins.environments",
    "TorchElasticEnvironment": "lightning.pytorch.plugins.environments",
    "DDPStrategy": "lightning.pytorch.strategies",
}


def lightning_name(module: Module) -> str:
    """What the file calls lightning, or will: `L`, unless that is a name of its own."""
    for name, full in module.symbols.imports.items():
        if full == "lightning":
            return name
    taken = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
    taken |= set(module.symbols.imports)
    return next(name for name in ("L", "lightning", "lightning_") if name not in taken)


def import_edits(module: Module, name: str, edits: list[Edit]) -> list[Edit]:
    """Before the first import of torch at the top level, else after the last import above the first edit."""
    newline = "\r\n" if module.lines[0].endswith(b"\r\n") else "\n"
    written = " ".join(edit.text for edit in edits)
    lines = [f"import {'lightning' if name == 'lightning' else f'lightning as {name}'}"]
    lines += [f"from {home} import {used}" for used, home in _OF_LIGHTNING.items() if f"{used}(" in written]
    if "os.environ" in written and "os" not in module.symbols.imports:
        lines.insert(0, "import os")
    known = set(module.symbols.imports.values())
    if "random.getstate()" in written and "random" not in known:
        lines.insert(0, "import random")
    if re.search(r"\bnp\.(random\.get_state|generic)\b", written) and "numpy" not in known:
        lines.append("import numpy as np")
    first_edit = min(edit.start for edit in edits)
    imports = [
        node
        for node in module.tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and module.start(node) < first_edit
        and not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    there = {ast.unparse(node) for node in imports}
    lines = [line for line in lines if line not in there]
    if not lines:
        return []
    text = newline.join(lines)
    for node in imports:
        if isinstance(node, ast.Import) and node.names[0].name == "torch" and len(node.names) == 1:
            at = module.offset(node.lineno, 0)
            return [Edit(at, at, f"{text}{newline}")]
    if imports:
        at = module.offset((imports[-1].end_lineno or imports[-1].lineno) + 1, 0)
        return [Edit(at, at, f"{text}{newline}")]
    first = next(node for node in module.tree.body if not _is_head(node))
    at = module.offset(first.lineno, 0)
    return [Edit(at, at, f"{text}{newline}")]


def _is_head(node: ast.stmt) -> bool:
    future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
    return future or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
