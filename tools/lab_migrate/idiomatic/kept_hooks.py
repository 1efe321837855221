"""What hooks of modules, tensors and optimizers change: functions that no call of the loop's leads to.

model.layer.register_forward_hook(lambda module, given, out: seen.append(out.mean()))
optimizer.register_step_post_hook(counter.count)
"""

from __future__ import annotations

import re

from lab_migrate.analysis.symbols import Function
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.outside import changed_outside
from lab_migrate.idiomatic.related import related

_REGISTERS = re.compile(r"^register_\w*hook$")


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
                for name in changed_outside(function, graph):
                    _say(keeping, name, function, why)


def _say(keeping: Keeping, name: str, function: Function, why: str) -> None:
    is_own = function.cls is not None and function.cls is keeping.base.function.cls
    known = {name, f"self.{name.partition('.')[2]}"} if is_own else {name}
    if not known & keeping.seen:
        keeping.seen.add(name)
        keeping.lose(name, why)
