"""What names begin as, before the first epoch: plain values, numbers, containers."""

from __future__ import annotations

import ast

from lab_migrate.analysis.symbols import dotted

__all__ = ["CONTAINERS", "container_of", "is_filled", "is_float", "is_int", "is_plain", "root_of"]

_NUMBERS = {"float", "int", "len", "min", "max", "list", "dict", "set", "tuple", "bool", "str"}
_TENSORS = ("tensor", "zeros", "ones", "full", "state_dict", "item", "get")
_CLEARED = "{text}.clear()"
#: How a container is kept, and filled again in its place: other code may have it under another name, and it may have
#: begun with something that the training has taken out.
CONTAINERS = {
    "list": ("{text}", ["{text}[:] = {saved}"]),
    "dict": ("{text}", [_CLEARED, "{text}.update({saved})"]),
    "set": ("{text}", [_CLEARED, "{text}.update({saved})"]),
    "defaultdict": ("dict({text})", [_CLEARED, "{text}.update({saved})"]),
    "OrderedDict": ("{text}", [_CLEARED, "{text}.update({saved})"]),
    "Counter": ("dict({text})", [_CLEARED, "{text}.update({saved})"]),
    "deque": ("list({text})", [_CLEARED, "{text}.extend({saved})"]),
}


def container_of(value: ast.expr) -> str:
    """Which container an expression makes: the name of its type; empty where it makes none."""
    if isinstance(value, ast.List | ast.ListComp):
        return "list"
    if isinstance(value, ast.BinOp):  # `[0] * n`
        return container_of(value.left) or container_of(value.right)
    if isinstance(value, ast.Dict | ast.DictComp):
        return "dict"
    if isinstance(value, ast.Set | ast.SetComp):
        return "set"
    last = dotted(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
    return last if last in CONTAINERS else ""


def is_filled(value: ast.expr) -> bool:
    """Whether a container that is made holds something from the beginning."""
    return not isinstance(value, ast.Call)


def root_of(node: ast.expr) -> ast.expr:
    """`history` of `history["loss"][0]`."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node


def is_int(value: ast.expr) -> bool:
    """A whole number or nothing, which is another thing later."""
    return isinstance(value, ast.Constant) and (value.value is None or type(value.value) is int)


def is_float(value: ast.expr) -> bool:
    """A number that is no counter."""
    inner = value.operand if isinstance(value, ast.UnaryOp) else value
    if isinstance(inner, ast.Constant):
        return isinstance(inner.value, float)
    return dotted(inner).lower().endswith("inf") or (isinstance(inner, ast.Call) and dotted(inner.func) == "float")


def is_plain(value: ast.expr) -> bool:
    """A number, a text, a tensor, or a container of such: what a checkpoint holds."""
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return all(map(is_plain, value.elts))
    if isinstance(value, ast.Dict):
        return all(map(is_plain, value.values))
    if isinstance(value, ast.UnaryOp):
        return is_plain(value.operand)
    if isinstance(value, ast.BinOp):
        return is_plain(value.left) and is_plain(value.right)
    if isinstance(value, ast.Call):
        last = dotted(value.func).rpartition(".")[2] or getattr(value.func, "attr", "")
        copied = last == "deepcopy" and len(value.args) == 1 and is_plain(value.args[0])
        return copied or dotted(value.func) in _NUMBERS or last in _TENSORS
    if isinstance(value, ast.Attribute):
        return value.attr.lower() in ("inf", "infinity", "nan", "maxsize", "max") or "args" in dotted(value)
    return isinstance(value, ast.Constant | ast.Subscript)
