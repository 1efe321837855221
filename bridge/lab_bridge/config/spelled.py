"""Types as they are spelled in a schema (`int | Own`, `Sequence[float]`): unions, and what a config can say of them."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from lab_bridge.config.types import OWN, PLAIN

__all__ = ["either", "kind_of", "parts_of", "text_first", "with_own", "without_roles"]

_GENERIC = {"Literal", "Sequence", "tuple", "Mapping", "Factory", "list", "dict"}


def either(*spelled: str) -> str:
    """A union, `None` and `Own` last, each part once."""
    parts = [part for one in spelled for part in parts_of(one)]
    if "Any" in parts:
        return "Any"
    if "float" in parts:
        parts = [part for part in parts if part != "int"]
    last = [part for part in ("None", "Own") if part in parts]
    return " | ".join(dict.fromkeys([*text_first([part for part in parts if part not in last]), *last]))


def text_first(parts: Sequence[str]) -> list[str]:
    """LightningCLI's parser tries the parts in turn: behind `float`, the text '1e-3' would become a number."""
    return sorted(parts, key=lambda part: part != "str")


def parts_of(spelled: str) -> list[str]:
    """The members of a union, in order; a type that is none is its only one."""
    node = ast.parse(spelled, mode="eval").body
    found: list[str] = []
    while isinstance(node, ast.BinOp):
        found.insert(0, ast.unparse(node.right))
        node = node.left
    return [ast.unparse(node), *found]


def without_roles(spelled: str) -> str:
    """A type without the classes that no config can name: what is left, or `Any`."""
    return _cleaned(ast.parse(spelled, mode="eval").body) or "Any"


def _cleaned(node: ast.expr) -> str:
    """The spelling of what configs can say of a type; empty where that is nothing."""
    match node:
        case ast.Name(id=name):
            return name if name in PLAIN else ""
        case ast.BinOp(left=left, right=right):
            both = [part for part in (_cleaned(left), _cleaned(right)) if part]
            made = either(*both) if both else ""
            return made if set(parts_of(made or "None")) - {"None", "Own"} else ""
        case ast.Constant(value=None):
            return "None"
        case ast.Subscript(value=ast.Name(id="Literal")):
            return ast.unparse(node)
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in _GENERIC - {"Factory"}:
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            spelled = [
                "..." if isinstance(part, ast.Constant) and part.value is ... else _cleaned(part) or "Any"
                for part in parts
            ]
            return f"{name}[{', '.join(spelled)}]"
    return ""


def with_own(spelled: str, default: object) -> str:
    """A parameter's type with what its default adds: `Own` where it is the builder's own, `None` where it is None."""
    if default is OWN:
        return either(spelled, "Own")
    return either(spelled, "None") if default is None else spelled


def kind_of(value: object) -> str:
    """The type of a default that nobody annotated."""
    if value is None:
        return "None"
    if isinstance(value, bool | int | float | str):
        return type(value).__name__
    return "Sequence[Any]" if isinstance(value, list | tuple) else "Any"
