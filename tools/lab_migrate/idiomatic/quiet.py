"""Statements that only look: moved before the backward pass, they compute the same, and nothing else changes."""

from __future__ import annotations

import ast

from lab_migrate.analysis.symbols import dotted, own_nodes
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.roles import Roles

_BUILTINS = set(
    """abs all any bool dict enumerate float format int isinstance len list max min print range repr round set sorted
    str sum tuple zip""".split()  # noqa: SIM905
)
_METHODS = set(
    """add_scalar add_scalars append argmax argmin avg bool contiguous cpu debug detach dim double eq extend flatten
    float flush format ge get get_last_lr gt index_select info int item items join keys le log log10 long lt max mean
    min ne numel numpy permute reset_timer reshape set_description set_postfix set_postfix_str size squeeze sum t to
    tolist topk transpose type unsqueeze update values view view_as warning write""".split()  # noqa: SIM905
)
#: Functions of torch that only compute, from what they are given.
_OF_TORCH = set(
    """abs argmax argmin eq exp log max mean min round sigmoid softmax sqrt stack sum topk
    where""".split()  # noqa: SIM905
)
_MODULES = {"math", "time", "np", "numpy", "wandb", "logging", "logger"}


def is_quiet(node: ast.stmt, frame: Frame, roles: Roles) -> bool:
    """Whether a statement neither changes a tensor nor depends on what backward and step change."""
    for one in own_nodes([node]):
        if isinstance(one, ast.Call) and not is_quiet_call(one):
            return False
        if isinstance(one, ast.Attribute) and one.attr == "grad":
            return False
        if isinstance(one, ast.Name | ast.Attribute) and frame.canonical(one) in roles.models:
            return False
        if isinstance(one, ast.Subscript) and not isinstance(one.ctx, ast.Load):
            return False
        if isinstance(one, ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.Delete | ast.Import | ast.ImportFrom):
            return False
        if isinstance(one, ast.AugAssign) and not adds_number(one) and not adds_count(one):
            return False
    return True


def is_quiet_call(call: ast.Call) -> bool:
    """Whether a call, by its name, only looks."""
    if isinstance(call.func, ast.Name):
        return call.func.id in _BUILTINS
    if not isinstance(call.func, ast.Attribute):
        return False
    head, _, rest = dotted(call.func).partition(".")
    if call.func.attr == "update" and not call.args and not call.keywords:
        return False  # an average's, which reads the weights; a bar's is none of a step's
    return call.func.attr in _METHODS or head in _MODULES or (head == "torch" and rest in _OF_TORCH)


def adds_number(node: ast.AugAssign) -> bool:
    """`x += …` changes a tensor in place where x is one; then its value is one too, which `.item()` tells apart."""
    value = node.value
    if isinstance(node.target, ast.Attribute | ast.Subscript):
        return isinstance(value, ast.Constant)
    calls = [one for one in ast.walk(value) if isinstance(one, ast.Call)]
    plain = all(isinstance(one, ast.Constant | ast.Name | ast.BinOp | ast.operator | ast.expr_context)
                for one in ast.walk(value))  # fmt: skip
    return plain or any(
        (isinstance(call.func, ast.Attribute) and call.func.attr in ("item", "size", "tolist"))
        or (isinstance(call.func, ast.Name) and call.func.id in ("len", "int", "float"))
        for call in calls
    )


def adds_count(node: ast.AugAssign) -> bool:
    """`right += (out == y).sum()`, `right += torch.sum(out == y)`: whole numbers, in a tensor that changes in place."""
    value = node.value
    if not isinstance(node.target, ast.Name) or not isinstance(value, ast.Call):
        return False
    given = value.func.value if isinstance(value.func, ast.Attribute) and not value.args else None
    if dotted(value.func) == "torch.sum" and len(value.args) == 1 and not value.keywords:
        given = value.args[0]
    called = value.func.attr if isinstance(value.func, ast.Attribute) else ""
    return called == "sum" and isinstance(given, ast.Compare)
