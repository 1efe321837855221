"""What goes on by itself, as its making tells: generators and iterators of the program's own, and objects of packages.

draws = numpy.random.default_rng(1)             in the loop: draws.random()
numbers = itertools.count()                                  next(numbers)
mean = torchmetrics.MeanMetric()                             mean.update(loss)
seen = functools.partial(record, [])                         seen(loss)
DataLoader(Counting(data), collate_fn=collate)  what a data set or a collator counts
"""

from __future__ import annotations

import ast
import sys

from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.beginnings import container_of, is_filled
from lab_migrate.idiomatic.cached import may_draw
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.makings import Making, makings_of
from lab_migrate.idiomatic.outside import changed_outside
from lab_migrate.idiomatic.roles import nodes_of

_GENERATORS = frozenset({
    "torch.Generator", "numpy.random.default_rng", "numpy.random.Generator", "numpy.random.RandomState",
    "random.Random",
})  # fmt: skip
#: Objects of the standard library that a checkpoint of Lightning's does not hold.
_STANDARD = ("queue.", "io.StringIO", "io.BytesIO", "bytearray", "multiprocessing.")
#: Methods by which an object of a package's goes on, and those that begin anew.
_GOES_ON = frozenset({"accumulate", "add", "append", "observe", "push", "put", "record", "step", "update", "write"})
_BEGINS = frozenset({"clear", "reset"})


def say_made(keeping: Keeping) -> None:
    """Say what no checkpoint holds of them."""
    called = [(frame.canonical(node.func.value), node.func.attr) for frame, node in nodes_of(keeping.nest)
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]  # fmt: skip
    reset = {name for name, method in called if method in _BEGINS}
    goes_on = {name for name, method in called if method in _GOES_ON} - reset
    mentioned = [frame.canonical(node) for frame, node in nodes_of(keeping.nest)
                 if isinstance(node, ast.Name | ast.Attribute)]  # fmt: skip
    held = {*keeping.roles.models, *keeping.roles.optimizers, *keeping.lightnings, *keeping.kept, ""}
    for name in dict.fromkeys(mentioned):
        if name in held or ":" in name or name in keeping.places.names.carried:
            continue
        makings = makings_of(name, keeping.nest, keeping.graph)
        if keeping.is_made_within(name) and not _is_made_sometimes(name, keeping):
            continue
        calls = [one for one in keeping.made(name) if isinstance(one, ast.Call)]
        makings = makings or [Making(keeping.base.function, one) for one in calls]
        why = next((why for making in makings if (why := _why(making, keeping, name in goes_on))), "")
        if why:
            keeping.lose(name, why)
    _say_loaders(keeping)


def _why(making: Making, keeping: Keeping, goes_on: bool) -> str:
    func = making.call.func
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Call):  # `torch.Generator().manual_seed(1)`
        return _why(Making(making.owner, func.value), keeping, goes_on)
    maker = making.maker
    if maker in _GENERATORS:
        return "a random generator of its own"
    if maker.startswith(_STANDARD) and goes_on:
        return "an object that no checkpoint holds"
    if maker == "functools.partial" and any(map(_is_empty, _given(making.call))):
        return "a partial function, which may fill what it was given"
    targets = keeping.graph.targets(making.owner, making.call.func)
    yields = any(isinstance(node, ast.Yield | ast.YieldFrom) for target in targets for node in target.own)
    if maker == "iter" or maker.startswith("itertools.") or yields:
        return "an iterator, which begins anew"
    head = maker.partition(".")[0]
    theirs = head in {full.partition(".")[0] for full in making.owner.module.symbols.imports.values()}
    theirs = theirs and head not in ("torch", *sys.stdlib_module_names)
    known = keeping.graph.types(making.owner, making.call)
    return f"an object of {head}'s, which goes on by itself" if theirs and goes_on and not known and not targets else ""


def _is_made_sometimes(name: str, keeping: Keeping) -> bool:
    """Whether the epochs make it anew under a condition: an iterator, when it is used up."""
    conditions = (node for node in ast.walk(keeping.nest.epochs) if isinstance(node, ast.If | ast.Try))
    under = {id(inner) for node in conditions for inner in ast.walk(node)}
    return any(id(value) in under for value in keeping.made(name))


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(word.value for word in call.keywords)]


def _is_empty(given: ast.expr) -> bool:
    """Whether it makes a container that somebody is going to fill."""
    holds = any(isinstance(one, ast.expr) for one in ast.iter_child_nodes(given))
    return bool(container_of(given)) and not (is_filled(given) and holds)


def _say_loaders(keeping: Keeping) -> None:
    """What data sets and collators count."""
    graph = keeping.graph
    said: set[str] = set()
    for loop in keeping.nest.loops:
        for loader in loop.entries:
            for making in makings_of(loader, keeping.nest, graph):
                for given in [*making.call.args[:1], *(word.value for word in making.call.keywords)]:
                    for function in _run_by_loader(keeping, making.owner, given):
                        # Images that are read once are the same when they are read again; what is drawn is not.
                        counts_only = not may_draw(function, graph)
                        for name in changed_outside(function, graph, counts_only):
                            if name not in said:
                                said.add(name)
                                keeping.lose(
                                    name, f"{function.qualified}() counts it for {dotted(loop.loader) or loader}"
                                )


def _run_by_loader(keeping: Keeping, owner: Function, given: ast.expr) -> list[Function]:
    graph = keeping.graph
    found = [*graph.handed(owner, given), *graph.functions(owner, given)]
    for method in ("__getitem__", "__iter__", "__call__"):
        found += graph.methods_of(graph.types(owner, given), method)
    return list(dict.fromkeys(found))
