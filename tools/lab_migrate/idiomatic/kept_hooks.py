"""What hooks of modules, tensors and optimizers change: functions that no call of the loop's leads to.

model.layer.register_forward_hook(lambda module, given, out: seen.append(out.mean()))
optimizer.register_step_post_hook(counter.count)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.filling import changed_in_place, counts
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.related import related

_REGISTERS = re.compile(r"^register_\w*hook$")
#: How many calls down a hook is followed.
_DEEPEST = 2


def say_hooks(keeping: Keeping) -> None:
    """Say what they change, since nothing here could keep it."""
    graph = keeping.graph
    names = [name for name in graph.sites_by_name if _REGISTERS.match(name)]
    if not names:
        return
    files = {id(module) for module in related(keeping.base.module, graph.project)}
    for caller, call in (site for name in names for site in graph.sites_by_name[name] if id(site[0].module) in files):
        for given in [*call.args, *(word.value for word in call.keywords)]:
            called = [*graph.handed(caller, given), *graph.functions(caller, given)]
            called += graph.methods_of(graph.types(caller, given), "__call__")
            for function in dict.fromkeys(called):
                why = f"a hook changes it, at {caller.path}:{call.lineno}"
                for name in _changes(keeping, function, _DEEPEST):
                    _say(keeping, name, function, why)


def _say(keeping: Keeping, name: str, function: Function, why: str) -> None:
    is_own = function.cls is not None and function.cls is keeping.base.function.cls
    known = {name, f"self.{name.partition('.')[2]}"} if is_own else {name}
    if not known & keeping.seen:
        keeping.seen.add(name)
        keeping.lose(name, why)


def _changes(keeping: Keeping, function: Function, deepest: int) -> Iterator[str]:
    """Names of what outlives a call: of the functions and files around, and attributes of its object's class."""
    bound = names_in(function.body)
    assigned = bound.assigned - bound.globals_ - bound.nonlocals
    this = function.parameters[0] if function.cls is not None and function.parameters else ""
    for node in function.own:
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from (name for name in node.names if name in bound.assigned)
        changed = counts(node) or changed_in_place(node)
        head, _, rest = dotted(changed).partition(".") if changed is not None else ("", "", "")
        if rest and head == this and function.cls is not None:
            yield f"{function.cls.name}.{rest}"
        # What torch hands a hook has no `append`: such a parameter was bound by `partial`.
        elif head and head not in assigned and (head not in function.parameters or _is_bound(node, deepest)):
            yield dotted(changed)
    for call in keeping.graph.calls_of(function) if deepest else ():
        for target in call.targets:
            yield from _changes(keeping, target, deepest - 1)


def _is_bound(node: ast.AST, deepest: int) -> bool:
    return isinstance(node, ast.Call) and deepest == _DEEPEST
