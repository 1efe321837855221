"""How the loop around the batches counts its epochs, and where it ends.

for epoch in range(n):              max_epochs=n
for epoch in bar:                   the same, where bar = tqdm(range(n)); after each epoch `self.bar.update()`
for epoch in itertools.count(1):    max_epochs=-1
while True:                         max_epochs=-1
while step < n:                     max_epochs=-1, and after each epoch `if self.step >= n: …should_stop = True`
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.idiomatic.autocast import full_name
from lab_migrate.idiomatic.bars import BARS, Bar, bar_named
from lab_migrate.idiomatic.frame import Frame, Item, Line
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.reach import reached
from lab_migrate.idiomatic.refused import no_nest
from lab_migrate.idiomatic.text import rewritten

__all__ = ["STOP", "Epochs", "epochs_of", "opposite", "refuse_moving_start", "refuse_start_moved_elsewhere"]

#: What stops the Trainer, which ends the hook and the epoch first.
STOP = "self.trainer.should_stop = True"

_NAMES = (ast.Name, ast.Attribute)
_OF_NUMBERS = ("abs", "int", "max", "min", "round")
_OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip


@attrs.frozen(eq=False)
class Epochs:
    """`name` counts from `first` (None: 0) up to `stop`; None where only a `break` ends it, or `test` does.

    `bar` is what draws it, where that has a name.
    """

    name: str
    first: ast.expr | None
    stop: ast.expr | None
    test: ast.expr | None = None
    bar: Bar | None = None

    def last_lines(self, base: Frame) -> list[Item]:
        """What moves the bar on, or ends the training, after an epoch."""
        if self.bar is not None:
            return [self.bar.moved_on()]
        if self.test is None:
            return []
        ends = opposite(self.test)
        node = ast.copy_location(ast.Expr(ends), self.test)
        source = base.module.source(self.test)

        def text(replace: object) -> str:
            said = rewritten(source, replace)  # type: ignore[arg-type]
            return f"if {ast.unparse(opposite(ast.parse(said, mode='eval').body))}:\n\t{STOP}"

        return [Item(base, node, line=Line(text, (self.test,), None))]


def epochs_of(loop: ast.stmt, frame: Frame) -> Epochs:
    """Raises `NotIdiomaticError` where it cannot be told."""
    if isinstance(loop, ast.While) and not loop.orelse:
        if isinstance(loop.test, ast.Constant) and loop.test.value:
            return Epochs("", None, None)
        if _is_plain(loop.test):
            return Epochs("", None, None, loop.test)
    if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name) and not loop.orelse:
        bar = bar_named(loop.iter, frame)
        source: ast.expr = bar.call if bar is not None else loop.iter
        while isinstance(source, ast.Call) and dotted(source.func) in BARS and source.args:
            source = (
                source.args[0]
                if dotted(source.func) != "trange"
                else ast.Call(ast.Name("range", ast.Load()), source.args, [])
            )
        if isinstance(source, ast.Call):
            full = full_name(source.func, frame)
            source = counted_by_one(source)
            if full == "range" and len(source.args) == 1 and not source.keywords:
                return Epochs(loop.target.id, None, source.args[0], bar=bar)
            if full == "range" and len(source.args) == 2 and not source.keywords:
                return Epochs(loop.target.id, source.args[0], source.args[1], bar=bar)
            given = [*source.args, *(word.value for word in source.keywords if word.arg == "start")]
            if full == "itertools.count" and len(given) == len(source.args) + len(source.keywords) <= 1:
                return Epochs(loop.target.id, given[0] if given else None, None, bar=bar)
    raise no_nest(frame.function, loop, "the loop around it counts no epochs with `range`")


def counted_by_one(call: ast.Call) -> ast.Call:
    """`range(first, stop)` for `range(first, stop, 1)`; any other call as it is."""
    step = call.args[2] if len(call.args) == 3 else None
    if isinstance(step, ast.Constant) and type(step.value) is int and step.value == 1 and not call.keywords:
        return ast.Call(call.func, call.args[:2], [])
    return call


def refuse_moving_start(header: Epochs, frame: Frame, loops: Sequence[ast.stmt]) -> None:
    """Raises `NotIdiomaticError` where `range(done[-1] + 1, n)` may begin elsewhere when it is asked again, each epoch.

    What a name or an attribute holds changes where the loops assign it; what is looked up, or computed of it by a call,
    wherever they mention it.
    """
    if header.first is None:
        return
    inside = [node for loop in loops for statement in getattr(loop, "body", []) for node in ast.walk(statement)]
    named = {dotted(node) for node in inside if isinstance(node, _NAMES)}
    stored = {dotted(node) for node in inside if isinstance(node, _NAMES) and not isinstance(node.ctx, ast.Load)}
    looks = [node for node in ast.walk(header.first) if isinstance(node, ast.Subscript | ast.Call)]
    looked_up = {
        name for one in looks if dotted(getattr(one, "func", one)) not in _OF_NUMBERS for name in _whole_names(one)
    }
    read = _whole_names(header.first)
    if (read & stored) or (looked_up & named):
        text = ast.unparse(header.first)
        raise no_nest(frame.function, loops[0], f"its epochs are counted from {text}, which the training may change")


def refuse_start_moved_elsewhere(nest: Nest, graph: CallGraph) -> None:
    """Raises `NotIdiomaticError` where a function that the loops call changes what the epochs are counted from."""
    if nest.first is None:
        return
    names = {one.id for one in ast.walk(nest.first) if isinstance(one, ast.Name)}
    attributes = {one.attr for one in ast.walk(nest.first) if isinstance(one, ast.Attribute)}

    def does(node: ast.AST, within: Function) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr in attributes and not isinstance(node.ctx, ast.Load)
        return isinstance(node, ast.Global | ast.Nonlocal) and bool(names & set(node.names))

    if (found := reached([nest.epochs], nest.base, graph, does)) is not None:
        text = ast.unparse(nest.first)
        raise no_nest(nest.base.function, found, f"its epochs are counted from {text}, which the training may change")


def _whole_names(node: ast.expr) -> set[str]:
    """`args.start` of it, not `args` as well."""
    found = {dotted(one) for one in ast.walk(node) if isinstance(one, _NAMES)}
    return found - {name.rpartition(".")[0] for name in found} - {*_OF_NUMBERS, "len"}


def opposite(test: ast.expr) -> ast.expr:
    """`step >= n` of `step < n`."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in _OPPOSITES:
        return ast.copy_location(ast.Compare(test.left, [_OPPOSITES[type(test.ops[0])]()], test.comparators), test)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return ast.copy_location(ast.UnaryOp(ast.Not(), test), test)


def _is_plain(test: ast.expr) -> bool:
    """Whether asking twice changes nothing."""
    return not any(isinstance(node, ast.Call | ast.NamedExpr | ast.Await | ast.Lambda) for node in ast.walk(test))
