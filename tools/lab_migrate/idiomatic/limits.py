"""A `break` that ends every epoch after the same number of batches is Lightning's `limit_train_batches`."""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis.symbols import own_nodes
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.changing import stays
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import in_inner_loop
from lab_migrate.idiomatic.refused import NotIdiomaticError


@attrs.frozen(eq=False)
class Limit:
    """`count` batches an epoch where `conditions` hold (all of them). `dropped` is the statement that breaks."""

    dropped: ast.stmt
    count: ast.expr | None
    inclusive: int
    conditions: tuple[ast.expr, ...]


def limit_of(loop: Batches, stops: frozenset[int] = frozenset()) -> Limit | None:
    """The limit that a loop's `break` amounts to; None where it has none. Raises `NotIdiomaticError`.

    `stops` are the jumps that end the whole training.
    """
    body = loop.node.body
    breaks = [node for node in own_nodes(body) if isinstance(node, ast.Break) and not in_inner_loop(body, node)]
    breaks = [node for node in breaks if id(node) not in stops]
    if not breaks:
        return None
    chain = _chain(loop.node.body[-1], breaks[0])
    if len(breaks) > 1 or chain is None:
        raise _refused(loop, breaks[0])
    conditions: list[ast.expr] = []
    count: ast.expr | None = None
    inclusive = 1
    stored = {node.id for node in own_nodes([loop.node]) if isinstance(node, ast.Name) and _binds(node)}
    for outer in chain:
        if _holds_first(outer.test, loop):
            continue
        counted = _counted(outer.test, loop)
        if counted is not None and count is None and len(chain) == 1:
            count, inclusive = counted
        elif is_constant(outer.test, stored):
            conditions.append(outer.test)
        else:
            raise _refused(loop, breaks[0])
    if not all(stays(one, loop) for one in [*conditions, *([count] if count is not None else [])]):
        raise _refused(loop, breaks[0])
    return Limit(chain[-1], count, inclusive, tuple(conditions))


def refuse_early_ends(loop: Batches, stops: frozenset[int]) -> None:
    """Raises where a batch's code leaves its batch in a way that a hook has not."""
    moves_on = loop.drawn is not None and not loop.drawn.is_silent
    for node in own_nodes(loop.node.body):
        # What moves a bar on is the hook's last line.
        continues = isinstance(node, ast.Continue) and moves_on and not in_inner_loop(loop.node.body, node)
        returns = isinstance(node, ast.Return) and id(node) not in stops
        if continues or returns or isinstance(node, ast.Yield | ast.YieldFrom | ast.Await):
            word = "yield" if isinstance(node, ast.YieldFrom) else type(node).__name__.lower()
            raise NotIdiomaticError(
                "LM303", loop.frame.module.path, node, f"a batch may end early with `{word}`",
                "write the rest of the body under an `if`, or keep the faithful way",
            )  # fmt: skip


def _chain(last: ast.stmt, jump: ast.AST) -> list[ast.If] | None:
    """The `if`s from a body's last statement down to one that only breaks."""
    chain: list[ast.If] = []
    while isinstance(last, ast.If) and not last.orelse:
        chain.append(last)
        if last.body == [jump]:
            return chain
        last = last.body[-1]
    return None


def _holds_first(test: ast.expr, loop: Batches) -> bool:
    """`index % n == 0` holds at the first batch."""
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.BinOp)
        and isinstance(test.left.op, ast.Mod)
        and isinstance(test.left.left, ast.Name)
        and test.left.left.id == loop.index
        and loop.start == 0
        and len(test.ops) == 1
        and isinstance(test.ops[0], ast.Eq)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value == 0
    )


def _counted(test: ast.expr, loop: Batches) -> tuple[ast.expr, int] | None:
    """`index == n` and `index >= n`: the bound, and how many batches more than it were taken."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq | ast.GtE):
        return None
    left, more = test.left, 1 - loop.start
    if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add) and isinstance(left.right, ast.Constant):
        if left.right.value != 1:
            return None
        left, more = left.left, more - 1
    if not isinstance(left, ast.Name) or left.id != loop.index:
        return None
    stored = {node.id for node in own_nodes([loop.node]) if isinstance(node, ast.Name) and _binds(node)}
    return (test.comparators[0], more) if is_constant(test.comparators[0], stored) else None


def is_constant(test: ast.expr, stored: set[str]) -> bool:
    """Whether an expression has one value during the whole loop."""
    return not any(
        isinstance(node, ast.Call | ast.Subscript | ast.NamedExpr | ast.Await)
        or (isinstance(node, ast.Name) and node.id in stored)
        for node in ast.walk(test)
    )


def _binds(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _refused(loop: Batches, node: ast.AST) -> NotIdiomaticError:
    frame: Frame = loop.frame
    return NotIdiomaticError(
        "LM303", frame.module.path, node, "a `break` ends the epoch at a batch that cannot be told before",
        "limit the batches by `limit_train_batches`, or keep the faithful way",
    )  # fmt: skip
