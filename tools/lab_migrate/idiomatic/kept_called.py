"""What functions change of the names around them, and functions under other names: it is said.

def cool(): state.scale *= 0.9           cool()
change = functools.partial(bump, state)  change()
change = watch.renew                     change()
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.kept_objects import keep_object
from lab_migrate.idiomatic.led_to import Leads
from lab_migrate.idiomatic.reach import functions_reached
from lab_migrate.idiomatic.roles import nodes_of

__all__ = ["called_by_others", "free_in", "say_called"]


def say_called(keeping: Keeping) -> None:
    """Say each once; what is kept as a whole goes on, whoever changes it."""
    for function in functions_reached(keeping.nest, keeping.graph):
        leads = Leads(function, keeping.graph, free_in(function, keeping))
        leads.bind(function.own)
        for name, _ in (one for node in function.own for one in leads.changed(node)):
            _say(keeping, name, f"{function.qualified}() changes it")
        if keeping.base.is_script and function.module is keeping.base.module:
            around = free_in(function, keeping)
            for name in dict.fromkeys(name for node in function.own for name in _named(node, around)):
                keep_object(keeping, name)
    bound = keeping.base.bound
    leads = Leads(
        keeping.base.function, keeping.graph,
        lambda node: {dotted(node)} if dotted(node) in bound or dotted(node).startswith("self.") else set(),
    )  # fmt: skip
    for called, call in called_by_others(keeping):
        for name, _ in leads.changed(call):
            _say(keeping, name, f"{called}() changes it")


def called_by_others(keeping: Keeping) -> Iterator[tuple[str, ast.Call]]:
    """Names that are called with the calls that they stand for: `bump(state)` for a `partial` of that, `a.b()`."""
    called = [
        (frame.canonical(node.func), node) for frame, node in nodes_of(keeping.nest) if isinstance(node, ast.Call)
    ]
    for function in functions_reached(keeping.nest, keeping.graph):
        if function.cls in keeping.lineage and function.parameters:
            this = f"{function.parameters[0]}."
            calls = [node for node in function.own if isinstance(node, ast.Call) and dotted(node.func).startswith(this)]
            called += [(f"self.{dotted(node.func).removeprefix(this)}", node) for node in calls]
    for name, node in called:
        for value in keeping.made(name) if name and ":" not in name else ():
            if (call := _meant(value, node)) is not None:
                yield name, call


def _named(node: ast.AST, around: Callable[[ast.expr], set[str]]) -> set[str]:
    return around(node) if isinstance(node, ast.Name) else set()


def free_in(function: Function, keeping: Keeping) -> Callable[[ast.expr], set[str]]:
    """What tells names that a function finds around it, in its file or the function that it stands in."""
    base = keeping.base
    bound = names_in(function.body)
    own = {*function.parameters, *(bound.assigned - bound.globals_ - bound.nonlocals)}
    inside = function.parent is base.function or (base.is_script and function.module is base.module)
    symbols = function.module.symbols
    files = {*symbols.top.assigned, *(one.name for one in symbols.classes), *(one.name for one in symbols.functions)}
    around = (files | (base.bound if inside else set())) - own - {*symbols.imports}

    def root(node: ast.expr) -> set[str]:
        return {node.id} if isinstance(node, ast.Name) and node.id in around else set()

    return root


def _say(keeping: Keeping, name: str, why: str) -> None:
    held = {*keeping.lightnings, *keeping.roles.models, *keeping.roles.optimizers, *keeping.places.names.carried}
    if (
        name in held
        or (name in keeping.seen and name not in keeping.in_part)
        or f"{name} ({why})" in keeping.found.lost
    ):
        return
    keeping.seen.add(name)
    keeping.in_part.discard(name)
    keeping.lose(name, why)


def _meant(value: ast.expr, call: ast.Call) -> ast.Call | None:
    """The call of `bump(state, …)` that one of `functools.partial(bump, state)` is, or that of a bound method."""
    if isinstance(value, ast.Attribute):
        return ast.Call(value, call.args, call.keywords)
    if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] == "partial" and value.args:
        return ast.Call(value.args[0], [*value.args[1:], *call.args], [*value.keywords, *call.keywords])
    return None
