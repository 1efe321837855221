"""How the LightningModule's source is laid out."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable

from lab_migrate.idiomatic.nest import Nest

WIDTH = 110


def method(unit: str, name: str, signature: str, lines: Iterable[str]) -> str:
    """A method's source; `unit` is one indentation."""
    body = "\n".join(f"{unit * 2}{line}" for line in lines)
    head = f"{unit}def {name}({signature}):"
    if len(head) > WIDTH:
        inner = textwrap.fill(signature, WIDTH - len(unit) * 2)
        head = f"{unit}def {name}(\n{textwrap.indent(inner, unit * 2)}\n{unit}):"
    return f"{head}\n{body}"


def unit_of(nest: Nest) -> str:
    """One indentation, as the file has it."""
    body = nest.epochs.body[0]
    line = nest.base.module.lines[body.lineno - 1].decode()
    around = nest.base.module.lines[nest.epochs.lineno - 1].decode()
    deep, shallow = (text[: len(text) - len(text.lstrip(" \t"))] for text in (line, around))
    return deep[len(shallow) :] if body.lineno != nest.epochs.lineno and deep.startswith(shallow) else "    "


def is_literal(value: ast.expr) -> bool:
    """Whether a value can as well be written into `__init__`."""
    if isinstance(value, ast.List | ast.Dict | ast.Set):
        return ast.unparse(value) in ("[]", "{}")
    if isinstance(value, ast.UnaryOp):
        return isinstance(value.operand, ast.Constant)
    return isinstance(value, ast.Constant)
