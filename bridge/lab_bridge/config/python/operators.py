"""Python's operators and a few of its functions on plain values: pure, and bounded in time and memory."""

from __future__ import annotations

import ast
import math
import operator
import os.path
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["FUNCTIONS", "NotPlainError", "binary", "compared", "unary"]

#: More digits or characters than a config has.
_LARGEST = 10_000


class NotPlainError(ValueError):
    """No value that can be worked out here."""


_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.LShift: operator.lshift,
    ast.RShift: operator.rshift, ast.BitOr: operator.or_, ast.BitAnd: operator.and_, ast.BitXor: operator.xor,
}  # fmt: skip
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_, ast.Invert: operator.invert,
}  # fmt: skip
_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip

#: By import path; each is a pure function of plain values.
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "int": int, "float": float, "str": str, "bool": bool, "len": len, "min": min, "max": max, "round": round,
    "abs": abs, "sum": sum, "sorted": sorted, "range": lambda *args: list(_short(range(*args))),
    "math.sqrt": math.sqrt, "math.log": math.log, "math.log2": math.log2, "math.log10": math.log10,
    "math.ceil": math.ceil, "math.floor": math.floor, "math.exp": math.exp, "math.prod": math.prod,
    "os.path.join": os.path.join, "os.path.basename": os.path.basename, "os.path.dirname": os.path.dirname,
    "os.path.splitext": os.path.splitext,
}  # fmt: skip


def binary(node: ast.operator, left: Any, right: Any) -> Any:
    """`left node right`. Raises `NotPlainError`."""
    if isinstance(node, ast.Pow | ast.LShift) and isinstance(right, int) and abs(right) > 1000:
        raise NotPlainError
    if isinstance(node, ast.Mult | ast.Mod):
        for text, times in ((left, right), (right, left)):
            if isinstance(text, str | list | tuple) and isinstance(times, int) and len(text) * times > _LARGEST:
                raise NotPlainError
    return _tried(_BINARY.get(type(node)), left, right)


def unary(node: ast.unaryop, value: Any) -> Any:
    """`node value`. Raises `NotPlainError`."""
    return _tried(_UNARY.get(type(node)), value)


def compared(node: ast.cmpop, left: Any, right: Any) -> Any:
    """`left node right`. Raises `NotPlainError`."""
    return _tried(_COMPARED.get(type(node)), left, right)


def _tried(function: Callable[..., Any] | None, *values: Any) -> Any:
    if function is None:
        raise NotPlainError
    try:
        return function(*values)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise NotPlainError from error


def _short(values: range) -> range:
    if len(values) > _LARGEST:
        raise ValueError("too long")
    return values
