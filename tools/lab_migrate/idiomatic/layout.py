"""How the LightningModule's source is laid out."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable

from lab_migrate.idiomatic.frame import Frame
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


def relaid(text: str, statement: ast.Assign, unit: str, head: str) -> str:
    """The text of a statement's value after `head` in a method: its further lines keep their place under the first."""
    value = statement.value
    first, *rest = text.split("\n")
    if not rest:
        return text
    if any("\t" in line[: len(line) - len(line.lstrip())] for line in rest):
        return "\n".join([first, *(unit * 3 + line.lstrip() if line.strip() else "" for line in rest)])
    blanks = [len(line) - len(line.lstrip()) for line in rest if line.strip()]
    # What stands under an opening bracket moves with it; what is indented by the statement moves with that.
    under_bracket = min(blanks) > value.col_offset
    column = len(unit) * 2 + len(head)
    shift = column - value.col_offset if under_bracket else len(unit) * 2 - statement.col_offset
    moved = [" " * max(len(line) - len(line.lstrip()) + shift, 0) + line.lstrip() for line in rest]
    return "\n".join([first, *(line if line.strip() else "" for line in moved)])


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


def unused(name: str, base: Frame) -> str:
    """A name that a function, or a script's file, does not have yet; nor do the file's imports and global names."""
    tops = [base.module.symbols.top.node] if base.is_script else base.module.symbols.top.body
    around = [base.function.node, *(node for node in tops if not isinstance(node, ast.FunctionDef | ast.ClassDef))]
    taken = {node.id for one in around for node in ast.walk(one) if isinstance(node, ast.Name)}
    taken |= set(base.module.symbols.imports)
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}_{count}"
    return candidate
