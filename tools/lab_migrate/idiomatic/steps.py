"""Loops that count steps and pull their batches: Lightning's `max_steps`, over the loader again and again.

    batches = iter(loader)                        batches = cycle(loader)
    for step in range(n):                         while step < n:
        try:                                          batch = next(batches)
            batch = next(batches)                     …
        except StopIteration:                         step += 1
            batches = iter(loader)
            batch = next(batches)

`cycle` is a generator of the project that yields a loader's batches for ever; `itertools.cycle` is not, since it
repeats the batches of its first pass.
"""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis import CallGraph, TrainingLoop
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.bars import BARS, is_shown
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.epochs import counted_by_one
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import Nest, Steps
from lab_migrate.idiomatic.refused import NotIdiomaticError, no_nest


@attrs.frozen(eq=False)
class _Source:
    """Where batches come from: `loader`, by the statement `made`; `early` if it was asked for its iterator there."""

    loader: ast.expr
    made: ast.Assign
    early: bool


def pulls_batches(loop: ast.stmt) -> bool:
    """Whether a loop that is no `for` over a loader pulls its batches by `next()`."""
    if isinstance(loop, ast.For) and _range_in(loop) is None:
        return False
    return isinstance(loop, ast.For | ast.While) and any(_pulled(node) for node in own_nodes(loop.body))


def step_nest(training: TrainingLoop, graph: CallGraph) -> Nest:
    """The nest of a loop that pulls its batches. Raises `NotIdiomaticError`."""
    loop, owner = training.node, training.owner
    assert isinstance(loop, ast.For | ast.While)
    base = Frame(owner)
    if training.around:
        raise no_nest(owner, loop, "a loop stands around one that pulls its batches by `next()`")
    if loop.orelse:
        raise no_nest(owner, loop, "it is no plain loop")
    pulls = [node for node in loop.body if any(_pulled(one) for one in own_nodes([node]))]
    calls = [node for node in own_nodes(loop.body) if _pulled(node)]
    if len(pulls) != 1:
        raise no_nest(owner, loop, "it pulls several batches, or under a condition")
    pull = pulls[0]
    target, iterator = _pull(pull, owner)
    source = _source(iterator, training, graph, restarts=isinstance(pull, ast.Try))
    mentions = [node for node in owner.own if isinstance(node, ast.Name) and node.id == iterator]
    inside = {id(node) for node in own_nodes([pull])}
    if any(id(node) not in inside and node is not source.made.targets[0] for node in mentions):
        raise no_nest(owner, loop, f"{iterator} is used elsewhere, too")
    if isinstance(pull, ast.Try) != source.early or len(calls) != (2 if source.early else 1):
        raise no_nest(owner, pull, "what happens when the batches are used up is not told by `except StopIteration`")
    if isinstance(pull, ast.Try):
        _check_restart(pull, source, owner)
    train = Batches(base, loop, source.loader, target, "", 0, _has_bar(loop), (pull,), (source.made,))
    steps = _counted(loop, base)
    return Nest(training, base, loop, "", None, steps.stop, train, [], [], None, [], [], steps)


def _pulled(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) == "next" and len(node.args) == 1 and not node.keywords


def _pull(node: ast.stmt, owner: Function) -> tuple[ast.expr, str]:
    """The batch's target and the iterator's name."""
    inner = node.body[0] if isinstance(node, ast.Try) and len(node.body) == 1 else node
    if isinstance(inner, ast.Assign) and len(inner.targets) == 1 and _pulled(inner.value):
        assert isinstance(inner.value, ast.Call)
        argument = inner.value.args[0]
        if isinstance(argument, ast.Name):
            return inner.targets[0], argument.id
    raise no_nest(owner, node, "it pulls its batch in a way that cannot be told")


def _source(iterator: str, training: TrainingLoop, graph: CallGraph, *, restarts: bool) -> _Source:
    owner, loop = training.owner, training.node
    inside = {id(node) for node in own_nodes([loop])}
    made = [
        node
        for node in owner.own
        if isinstance(node, ast.Assign) and id(node) not in inside and dotted(node.targets[0]) == iterator
    ]
    values = [node.value for node in made]
    call = values[0] if len(made) == 1 and len(made[0].targets) == 1 else None
    if isinstance(call, ast.Call) and len(call.args) == 1 and not call.keywords and dotted(call.args[0]):
        if dotted(call.func) == "iter":
            return _Source(call.args[0], made[0], True)
        targets = graph.targets(owner, call.func)
        if not restarts and len(targets) == 1 and _is_endless(targets[0]):
            return _Source(call.args[0], made[0], False)
    raise no_nest(owner, loop, f"where {iterator} takes its batches from cannot be told")


def _is_endless(function: Function) -> bool:
    """`while True: for batch in loader: yield batch`, or `yield from loader`."""
    if not isinstance(function.node, ast.FunctionDef) or len(function.parameters) != 1 or function.node.decorator_list:
        return False
    body = [node for node in function.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    if len(body) != 1 or not isinstance(body[0], ast.While) or body[0].orelse or len(body[0].body) != 1:
        return False
    (loader,), test, inner = function.parameters, body[0].test, body[0].body[0]
    if not isinstance(test, ast.Constant) or not test.value:
        return False
    if isinstance(inner, ast.For) and not inner.orelse and len(inner.body) == 1 and dotted(inner.iter) == loader:
        last = inner.body[0]
        given = last.value if isinstance(last, ast.Expr) else None
        return isinstance(given, ast.Yield) and ast.unparse(given.value or last) == ast.unparse(inner.target)
    value = inner.value if isinstance(inner, ast.Expr) else None
    return isinstance(value, ast.YieldFrom) and dotted(value.value) == loader


def _check_restart(pull: ast.Try, source: _Source, owner: Function) -> None:
    """`except StopIteration:` makes the iterator anew, and takes its first batch."""
    plain = len(pull.handlers) == 1 and not pull.orelse and not pull.finalbody and not pull.handlers[0].name
    handler = pull.handlers[0]
    named = handler.type is None or dotted(handler.type) in ("StopIteration", "Exception")
    wanted = [ast.unparse(source.made), ast.unparse(pull.body[0])]
    if not plain or not named or [ast.unparse(node) for node in handler.body] != wanted:
        raise no_nest(owner, pull, "it does more than start over when the batches are used up")


def _counted(loop: ast.For | ast.While, base: Frame) -> Steps:
    if isinstance(loop, ast.For):
        return _counted_for(loop, base)
    test = loop.test
    if isinstance(test, ast.Constant) and test.value:
        return Steps("", None, None)
    bounds = (ast.Lt, ast.LtE)
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.left, ast.Name):
        counter, stop = test.left.id, test.comparators[0]
        counts = [node for node in loop.body if isinstance(node, ast.AugAssign) and dotted(node.target) == counter]
        stores = [node for node in own_nodes(loop.body) if isinstance(node, ast.Name) and node.id == counter
                  and isinstance(node.ctx, ast.Store)]  # fmt: skip
        by_one = len(counts) == len(stores) == 1 and ast.unparse(counts[0]) == f"{counter} += 1"
        if by_one and isinstance(test.ops[0], bounds) and _is_fixed(stop, loop):
            return Steps("", ast.Name(counter, ast.Load()), stop, int(isinstance(test.ops[0], ast.LtE)))
    raise no_nest(base.function, loop, "how many steps it takes cannot be told")


def _counted_for(loop: ast.For, base: Frame) -> Steps:
    source = _range_in(loop)
    if source is not None and isinstance(loop.target, ast.Name) and 1 <= len(source.args) <= 2:
        first = source.args[0] if len(source.args) == 2 else None
        if first is None or isinstance(first, ast.Constant | ast.Name | ast.Attribute):
            return Steps(loop.target.id, first, source.args[-1])
    raise no_nest(base.function, loop, "it counts no steps with `range`")


def _range_in(loop: ast.For) -> ast.Call | None:
    """The `range(…)` that a `for` counts in, perhaps in a progress bar."""
    source = loop.iter
    while isinstance(source, ast.Call) and dotted(source.func) in BARS and source.args:
        if dotted(source.func) == "trange":
            return counted_by_one(ast.Call(ast.Name("range", ast.Load()), source.args, []))
        source = source.args[0]
    counts = isinstance(source, ast.Call) and dotted(source.func) == "range" and not source.keywords
    return counted_by_one(source) if counts and isinstance(source, ast.Call) else None


def _is_fixed(stop: ast.expr, loop: ast.For | ast.While) -> bool:
    stored = {node.id for node in own_nodes([loop]) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return not any(
        isinstance(node, ast.Call | ast.NamedExpr | ast.Subscript) or (isinstance(node, ast.Name) and node.id in stored)
        for node in ast.walk(stop)
    )


def _has_bar(loop: ast.For | ast.While) -> bool:
    bar = loop.iter if isinstance(loop, ast.For) else None
    return isinstance(bar, ast.Call) and dotted(bar.func) in BARS and is_shown(bar)


def refuse_counted_by_batches(nest: Nest, why: str) -> NotIdiomaticError:
    """Under manual optimization Lightning counts what the batch's code steps, and `max_steps` is another number."""
    return NotIdiomaticError(
        "LM302", nest.base.module.path, nest.epochs, f"it counts its batches, and {why}",
        "count epochs over the loader, or keep the faithful way",
    )  # fmt: skip
