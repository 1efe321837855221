"""A function that trains or validates as a flag tells it, read as one function for each of its calls in an epoch.

    train_loss = run_epoch(model, loader, optimizer, train=True)      run_epoch_train(model, loader, optimizer)
    val_loss = run_epoch(model, val_loader, train=False)              run_epoch_val(model, val_loader)

Its other calls keep the function as it is.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from typing import Any

import attrs
import libcst as cst

from lab_migrate.analysis import CallGraph, Module, TrainingLoop
from lab_migrate.analysis.calls import Call
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Function
from lab_migrate.idiomatic.folding import folded

__all__ = ["Flagged", "call_of", "copies_of", "flagged"]


@attrs.frozen(eq=False)
class Flagged:
    """A function, and the calls of it that get copies: the copy's name, the flags, and their values."""

    function: Function
    calls: tuple[tuple[ast.Call, str, dict[str, Any]], ...]
    #: The flags that its other calls give; None for one that gives no constants.
    others: tuple[dict[str, Any] | None, ...]

    def trains_elsewhere(self, trained: Collection[str]) -> bool:
        """Whether another call may train: one with the flags of a copy that does."""
        every = [values for _, name, values in self.calls if name in trained]
        return any(other is None or other in every for other in self.others)


def flagged(module: Module, loops: Collection[TrainingLoop], graph: CallGraph) -> Flagged | None:
    """The function whose loop trains or not, as the constants that it is given tell it; None where there is none."""
    for loop in loops:
        owner = loop.owner
        if loop.around or owner.cls is not None or not isinstance(owner.node, ast.FunctionDef):
            continue
        if owner.node not in module.tree.body or owner.node.decorator_list:
            continue
        calls = graph.callers_of(owner)
        if len(calls) < 2 or not all(call.direct and call.caller.module is module for call in calls):
            continue
        together = _in_one_loop(calls)
        flags = _flags(owner, together)
        if flags:
            others = [call for call in calls if not any(call is one for one in together)]
            return Flagged(
                owner, _named(owner, together, flags, module), tuple(_values(call, owner, flags) for call in others)
            )
    return None


def _in_one_loop(calls: Sequence[Call]) -> list[Call]:
    """The calls that are statements of the loop around the first that stands in one, each once."""
    for call in calls:
        for loop in call.caller.own:
            if isinstance(loop, ast.For | ast.While):
                held = {id(node.value) for node in loop.body if isinstance(node, ast.Assign | ast.Expr)}
                found = [one for one in calls if one.caller is call.caller and id(one.node) in held]
                if len(found) > 1:
                    return found
    return []


def _flags(function: Function, calls: Sequence[Call]) -> list[str]:
    """Parameters that each call gives a constant, and not all the same one."""
    stored = names_in(function.body).assigned
    found = []
    for name in function.parameters:
        values = [_given(call.node, function, name) for call in calls]
        told = [value.value for value in values if isinstance(value, ast.Constant)]
        plain = len(told) == len(calls) and all(isinstance(value, bool | str) for value in told)
        if plain and len(set(told)) > 1 and name not in stored:
            found.append(name)
    return found


def _given(node: ast.AST, function: Function, name: str) -> ast.expr | None:
    assert isinstance(node, ast.Call)
    if any(isinstance(arg, ast.Starred) for arg in node.args) or any(word.arg is None for word in node.keywords):
        return None
    given = dict(zip(function.parameters, node.args, strict=False))
    given |= {word.arg: word.value for word in node.keywords if word.arg}
    if name in given:
        return given[name]
    assert isinstance(function.node, ast.FunctionDef)
    arguments = function.node.args
    positional = [arg.arg for arg in [*arguments.posonlyargs, *arguments.args]]
    return dict(zip(reversed(positional), reversed(arguments.defaults), strict=False)).get(name)


def _named(
    function: Function, calls: Sequence[Call], flags: list[str], module: Module
) -> tuple[tuple[ast.Call, str, dict[str, Any]], ...]:
    taken = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
    taken |= {one.name for one in module.symbols.functions}
    found = []
    for call in calls:
        assert isinstance(call.node, ast.Call)
        values = _values(call, function, flags)
        assert values is not None
        first = values[flags[0]]
        said = first if isinstance(first, str) and first.isidentifier() else "train" if first else "val"
        name = f"{function.name}_{said}"
        while name in taken:
            name += "_"
        taken.add(name)
        found.append((call.node, name, values))
    return tuple(found)


def _values(call: Call, function: Function, flags: list[str]) -> dict[str, Any] | None:
    """The constants that a call gives the flags; None where one is no constant."""
    given = {flag: _given(call.node, function, flag) for flag in flags}
    told = {flag: value.value for flag, value in given.items() if isinstance(value, ast.Constant)}
    return told if len(told) == len(flags) else None


def copies_of(node: cst.FunctionDef, found: Flagged) -> list[cst.FunctionDef]:
    """The function for each of the calls that get one, without its flags."""
    copies: list[cst.FunctionDef] = []
    for _, name, values in found.calls:
        body = folded(node.body.body, values) if isinstance(node.body, cst.IndentedBlock) else []
        kept = [one for one in node.params.params if one.name.value not in values]
        only = [one for one in node.params.kwonly_params if one.name.value not in values]
        kept = [*kept[:-1], kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)] if kept else []
        star = node.params.star_arg if only else cst.MaybeSentinel.DEFAULT
        parameters = node.params.with_changes(params=kept, kwonly_params=only, star_arg=star)
        block = node.body.with_changes(body=body or [cst.SimpleStatementLine([cst.Pass()])])
        if copies and not node.leading_lines:
            node = node.with_changes(leading_lines=[cst.EmptyLine(indent=False)] * 2)
        copies.append(node.with_changes(name=cst.Name(name), params=parameters, body=block))
    return copies


def call_of(node: cst.Call, name: str, flags: Collection[str], function: Function) -> cst.Call:
    """A call of a copy: under its name, without the flags."""
    kept = []
    for at, argument in enumerate(node.args):
        word = argument.keyword.value if argument.keyword is not None else ""
        named = word or (function.parameters[at] if at < len(function.parameters) else "")
        if named not in flags:
            kept.append(argument)
    if kept:
        kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return node.with_changes(func=cst.Name(name), args=kept)
