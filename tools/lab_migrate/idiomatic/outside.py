"""What a function changes that outlives its call: names around it, and attributes of its object or of a class.

self.n += 1     seen.append(out)     global count; count += 1     self.cache[i] = item
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.scopes import names_in
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.beginnings import root_of
from lab_migrate.idiomatic.filling import changed_in_place

__all__ = ["changed_outside", "counts"]

#: How many calls down a function is followed.
_DEEPEST = 2


def changed_outside(function: Function, graph: CallGraph, counts_only: bool = False) -> Iterator[str]:
    """Their names; an attribute of the function's object has its class before it.

    `counts_only`: an entry that is given another value (`self.cache[i] = item`) is none. What the function is given is
    none either, unless it puts something into it: what torch hands a hook has no `append`, so that such a parameter was
    bound by `partial`.
    """
    yield from _changed(function, counts_only, ())
    yield from _below(function, graph, counts_only, _DEEPEST)


def counts(node: ast.AST) -> ast.expr | None:
    """The target of `self.n += 1` and `self.n = self.n + 1`."""
    if isinstance(node, ast.AugAssign):
        return node.target
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Attribute):
        name = dotted(node.targets[0])
        reads = any(_reads(one, name) for one in ast.walk(node.value))
        return node.targets[0] if name and reads else None
    return None


def _reads(node: ast.AST, name: str) -> bool:
    """`self.n`, `getattr(self, "n", 0)`."""
    if isinstance(node, ast.Call) and dotted(node.func) == "getattr" and len(node.args) > 1:
        text = node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
        return isinstance(text, str) and f"{dotted(node.args[0])}.{text}" == name
    return isinstance(node, ast.Attribute) and dotted(node) == name


def _below(function: Function, graph: CallGraph, counts_only: bool, deepest: int) -> Iterator[str]:
    """What the functions that it calls change; what they are given may be its own."""
    for call in graph.calls_of(function) if deepest else ():
        for target in call.targets:
            yield from _changed(target, counts_only, target.parameters)
            yield from _below(target, graph, counts_only, deepest - 1)


def _changed(function: Function, counts_only: bool, given: Collection[str]) -> Iterator[str]:
    """`given` are parameters into which nothing of anybody else's is put."""
    bound = names_in(function.body)
    assigned = bound.assigned - bound.globals_ - bound.nonlocals
    this = function.parameters[0] if function.cls is not None and function.parameters else ""
    for node in function.own:
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from (name for name in node.names if name in bound.assigned)
        in_place = None if counts_only and isinstance(node, ast.Subscript) else changed_in_place(node)
        changed = counts(node) or in_place
        head, _, rest = dotted(root_of(changed)).partition(".") if changed is not None else ("", "", "")
        own = {*assigned, *(given if isinstance(node, ast.Call) else function.parameters)}
        if isinstance(changed, ast.Name) and isinstance(node, ast.Call):
            own |= {*function.module.symbols.imports}  # `np.sort(…)`, `heapq.merge(…)`
        if rest and head == this and function.cls is not None:
            yield f"{function.cls.name}.{rest}"
        elif head and head not in own:
            yield f"{head}.{rest}" if rest else head
