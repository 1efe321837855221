"""Saves that `fabric.save` does just as well: a dictionary of states and plain values, to a file that has a name."""

from __future__ import annotations

import ast
import re

from lab_migrate.analysis.sources import Module
from lab_migrate.analysis.symbols import dotted
from lab_migrate.convert.rule import Edit

#: Names that hold a number, a text or settings: Fabric would save the state of a module or optimizer in its place.
_VALUE = re.compile(r"(epoch|step|iter|loss|acc|best|score|args|config|cfg|hist|seed)", re.IGNORECASE)
_PATH = re.compile(r"(path|file|ckpt|checkpoint|name)", re.IGNORECASE)


def save_edits(module: Module, fabric: str) -> list[Edit]:
    """`torch.save(state, path)` as `fabric.save(path, state)`; with several processes the first one saves."""
    edits = []
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or dotted(node.func) != "torch.save" or node.keywords or len(node.args) != 2:
            continue
        state, path = node.args
        if _is_state(state) and _is_path(path):
            # The two change places as they are, edit by edit, so that edits inside them stay.
            edits.append(Edit(module.start(node), module.end(node.func), f"{fabric}.save"))
            edits.append(Edit(module.start(state), module.start(state), f"{module.source(path)}, "))
            edits.append(Edit(module.end(state), module.end(path), ""))
    return edits


def _is_state(node: ast.expr) -> bool:
    if isinstance(node, ast.Dict):
        return all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in node.keys) and all(
            _is_plain(value) for value in node.values
        )
    return _gives_state(node)


def _is_plain(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_plain(node.left) and _is_plain(node.right)
    if isinstance(node, ast.Name | ast.Attribute):
        return _VALUE.search(dotted(node).rpartition(".")[2]) is not None
    return isinstance(node, ast.Constant) or _gives_state(node)


def _gives_state(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "state_dict"


def _is_path(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.Call):
        return dotted(node.func) in ("os.path.join", "Path", "pathlib.Path", "str") or (
            isinstance(node.func, ast.Attribute) and node.func.attr == "format"
        )
    if isinstance(node, ast.BinOp):
        return _is_path(node.left) or _is_path(node.right)
    if isinstance(node, ast.Name | ast.Attribute):
        return _PATH.search(dotted(node).rpartition(".")[2]) is not None
    return isinstance(node, ast.JoinedStr)
