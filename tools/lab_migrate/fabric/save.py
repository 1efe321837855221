"""Saves of states that stay `torch.save`: `fabric.save` would write another file.

It takes the states apart and writes plain dictionaries: without their order's type, and without torch's `_metadata`,
the versions by which a module's `load_state_dict` tells what an older file means.
"""

from __future__ import annotations

import ast

from lab_migrate.analysis.sources import Module
from lab_migrate.analysis.symbols import dotted

__all__ = ["states_saved"]


def states_saved(module: Module) -> list[ast.Call]:
    """The calls of `torch.save` that are given a state dict, in order of line."""
    found = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and dotted(node.func) == "torch.save" and node.args and _has_state(node.args[0])
    ]
    return sorted(found, key=lambda node: node.lineno)


def _has_state(node: ast.expr) -> bool:
    return any(
        isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "state_dict"
        for one in ast.walk(node)
    )
