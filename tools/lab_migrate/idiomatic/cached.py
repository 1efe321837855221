"""Functions that keep what they have computed, where that is drawn: a resumed training would draw it again.

@functools.lru_cache          @functools.cached_property          self.cache[index] = image + noise
"""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.draws import is_draw

__all__ = ["is_cached", "may_draw"]

_CACHES = ("cache", "lru_cache", "cached_property", "memoize")
#: How many calls down a function is followed.
_DEEPEST = 2


def is_cached(function: Function) -> bool:
    """Whether it is called once for the same arguments."""
    decorators = getattr(function.node, "decorator_list", [])
    names = (dotted(one.func if isinstance(one, ast.Call) else one) for one in decorators)
    return any(name.rpartition(".")[2] in _CACHES for name in names)


def may_draw(function: Function, graph: CallGraph, deepest: int = _DEEPEST) -> bool:
    """Whether it, or a function that it calls, draws random numbers, by their names."""
    if any(isinstance(node, ast.Call) and is_draw(node, function) for node in function.own):
        return True
    targets = (target for call in graph.calls_of(function) for target in call.targets) if deepest else ()
    return any(may_draw(target, graph, deepest - 1) for target in targets)
