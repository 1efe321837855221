"""Random numbers from generators that a function makes itself, with a seed: nobody else's are moved by them."""

from __future__ import annotations

import ast
from collections.abc import Collection

from lab_bridge.config.sources.modules import dotted

__all__ = ["draws_of", "own_generators"]


def own_generators(function: ast.AST) -> set[str]:
    """The names that a function gives to generators that it makes, also of its object (`self.generator`)."""
    made: dict[str, list[bool]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                made.setdefault(ast.unparse(target), []).append(_is_made(node.value))
    return {name for name, values in made.items() if all(values)}


def draws_of(call: ast.Call, generators: Collection[str]) -> bool:
    """Whether a call makes one of these, seeds one, or draws from one."""
    if _is_made(call) or dotted(call.func) == "torch.Generator":
        return True
    given = [one.value for one in call.keywords if one.arg == "generator"]
    return any(ast.unparse(one) in generators or _is_made(one) for one in given) or _owner(call) in generators


def _owner(call: ast.Call) -> str:
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def _is_made(value: ast.expr) -> bool:
    """`torch.Generator().manual_seed(…)`, or numpy's or Python's with a seed."""
    if not isinstance(value, ast.Call):
        return False
    name = dotted(value.func)
    if name in ("np.random.default_rng", "numpy.random.default_rng", "np.random.RandomState", "random.Random"):
        return bool(value.args or value.keywords)
    if name == "torch.Generator":
        return True
    return isinstance(value.func, ast.Attribute) and value.func.attr == "manual_seed" and _is_made(value.func.value)
