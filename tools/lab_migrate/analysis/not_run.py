"""What a function does not run where a call's constants say so: `step(batch, train=False)` takes no optimizer step.

    def step(batch, train=True):             def make_step(train):
        loss = loss_of(batch)                    def step(batch): …
        if train:                                return step
            loss.backward()
            optimizer.step()                 look = make_step(train=False)

A parameter that its function assigns is no constant, nor is one that a decorator may fill.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from lab_migrate.analysis.calls import Call, CallGraph
from lab_migrate.analysis.definitions import scopes
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Class, Function

__all__ = ["constants_of", "not_run"]

_LEAVES = (ast.Return, ast.Raise)
_BINDS = ("staticmethod", "classmethod")


def constants_of(graph: CallGraph, call: Call, target: Function) -> dict[str, object]:
    """The names that have one value in a function where this call runs it: its parameters, and its maker's."""
    if not call.direct or not isinstance(call.node, ast.Call):
        return {}
    found = _given(graph, call.caller, call.node, target)
    own = names_in(target.body).assigned | set(target.parameters)
    outer = _given_to_maker(graph, call.caller, call.node, target)
    return {**{name: value for name, value in outer.items() if name not in own}, **found}


def _given(graph: CallGraph, caller: Function, call: ast.Call, target: Function) -> dict[str, object]:
    """What a call, or a default, gives for a function's parameters as constants."""
    if not isinstance(target.node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {}
    given: dict[str, ast.expr] = {}
    if all(isinstance(one, ast.Name) and one.id in _BINDS for one in target.node.decorator_list):
        whole = not any(isinstance(one, ast.Starred) for one in call.args)
        if whole and all(keyword.arg is not None for keyword in call.keywords):
            given |= _defaults(target.node.args)
        listed = [arg.arg for arg in [*target.node.args.posonlyargs, *target.node.args.args]]
        bound = target.cls is not None and not target.is_static and not _is_of_class(graph, caller, call.func)
        given |= dict(zip(listed[1 if bound else 0 :], call.args if whole else [], strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg in target.parameters}
    changed = names_in(target.body).assigned if given else set()
    return {
        name: value.value for name, value in given.items() if isinstance(value, ast.Constant) and name not in changed
    }


def _defaults(args: ast.arguments) -> dict[str, ast.expr]:
    listed = [arg.arg for arg in [*args.posonlyargs, *args.args]]
    found = dict(zip(listed[::-1], args.defaults[::-1], strict=False))
    found |= {arg.arg: value for arg, value in zip(args.kwonlyargs, args.kw_defaults, strict=True) if value is not None}
    return found


def _is_of_class(graph: CallGraph, caller: Function, func: ast.expr) -> bool:
    """Whether a method is called on its class, and given its object: `Trainer.step(trainer, batch)`."""
    return (
        isinstance(func, ast.Attribute)
        and isinstance(func.value, ast.Name)
        and isinstance(graph.lookup(caller, func.value.id), Class)
    )


def _given_to_maker(graph: CallGraph, caller: Function, call: ast.Call, target: Function) -> dict[str, object]:
    """The same for the function that made an inner one, which a name holds: `look = make_step(train=False)`."""
    if not isinstance(call.func, ast.Name) or target.parent is None or target.parent.parent is None:
        return {}
    home = next((one for one in scopes(caller) if call.func.id in one.assigned), None)
    values = home.assigned[call.func.id] if home is not None else []
    if home is None or len(values) != 1 or not isinstance(made := values[0], ast.Call):
        return {}
    return _given(graph, home, made, target.parent) if target.parent in graph.targets(home, made.func) else {}


def not_run(body: Sequence[ast.stmt], constants: Mapping[str, object]) -> set[int]:
    """The `id` of every node of some statements that is not reached with these values of names."""
    return {id(node) for dead in _dead(body, constants) for node in ast.walk(dead)} if constants else set()


def _dead(body: Sequence[ast.stmt], constants: Mapping[str, object]) -> Iterator[ast.AST]:
    for at, statement in enumerate(body):
        if isinstance(statement, ast.If):
            holds = _holds(statement.test, constants)
            if holds is not None:
                yield from statement.orelse if holds else statement.body
                run = statement.body if holds else statement.orelse
                yield from _dead(run, constants)
                if run and isinstance(run[-1], _LEAVES):
                    yield from body[at + 1 :]
                    return
                continue
        for name in ("body", "orelse", "finalbody"):
            part = getattr(statement, name, None)
            if part and not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _dead(part, constants)
        for node in () if isinstance(statement, ast.If) else ast.walk(statement):
            if isinstance(node, ast.IfExp) and (holds := _holds(node.test, constants)) is not None:
                yield node.orelse if holds else node.body


def _holds(test: ast.expr, constants: Mapping[str, object]) -> bool | None:
    """Whether a condition is true; None where it cannot be told."""
    if isinstance(test, ast.Name) and test.id in constants:
        return bool(constants[test.id])
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _holds(test.operand, constants)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        parts = [_holds(value, constants) for value in test.values]
        decides = isinstance(test.op, ast.Or)
        if decides in parts:
            return decides
        return None if None in parts else not decides
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _compared(test, constants)
    return None


def _compared(test: ast.Compare, constants: Mapping[str, object]) -> bool | None:
    """`mode == "train"`, `optimizer is not None`, `phase in ("train", "warmup")`."""
    (operator,), (right,) = test.ops, test.comparators
    if not isinstance(test.left, ast.Name) or test.left.id not in constants:
        return None
    value = constants[test.left.id]
    if isinstance(operator, ast.Eq | ast.NotEq | ast.Is | ast.IsNot) and isinstance(right, ast.Constant):
        same = value == right.value and type(value) is type(right.value)
        return same == isinstance(operator, ast.Eq | ast.Is)
    if isinstance(operator, ast.In | ast.NotIn) and isinstance(right, ast.Tuple | ast.List | ast.Set):
        held = [one.value for one in right.elts if isinstance(one, ast.Constant)]
        if len(held) == len(right.elts):
            return (value in held) == isinstance(operator, ast.In)
    return None
