"""Accumulation in the form that Lightning has: the mean over K batches, and a step at an epoch's last batch as well.

    loss = criterion(model(x), y) / K
    loss.backward()
    if (i + 1) % K == 0 or i + 1 == len(loader):
        optimizer.step()
        optimizer.zero_grad()

Without the second condition gradients of the last batches wait for the next epoch, or are dropped: Lightning steps.
"""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis.events import BACKWARD, STEP, ZERO, events_in
from lab_migrate.analysis.symbols import dotted, own_nodes
from lab_migrate.idiomatic.batches import Batches
from lab_migrate.idiomatic.changing import stays
from lab_migrate.idiomatic.limits import is_constant, limit_of
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.refused import ManualOptimizationError


@attrs.frozen(eq=False)
class Accumulation:
    """`count` batches a step, which stands in `update`."""

    update: ast.If
    count: ast.expr


@attrs.frozen(eq=False)
class Mean:
    """How the legacy loss is divided.

    `dropped` is a statement that only divides; `quotients` are divisions that become what is divided; the statements
    `readers` see the name `name` divided.
    """

    dropped: ast.stmt | None = None
    quotients: tuple[ast.BinOp, ...] = ()
    name: str = ""
    readers: tuple[ast.stmt, ...] = ()


def accumulation_of(nest: Nest) -> Accumulation | None:
    """The accumulation of the training loop; None where each batch steps.

    Raises `ManualOptimizationError` where it steps at other batches than Lightning would.
    """
    loop = nest.train
    update = next((node for node in loop.body if isinstance(node, ast.If) and _steps(node)), None)
    if update is None:
        return None
    if update.orelse or any(event.kind == BACKWARD for event in events_in(own_nodes([update]))):
        raise ManualOptimizationError(update, "its step depends on a condition")
    parts = update.test.values if isinstance(update.test, ast.BoolOp) and isinstance(update.test.op, ast.Or) else []
    for part in parts or [update.test]:
        count = _every(part, loop)
        if count is not None and len(parts) == 2:
            (other,) = [one for one in parts if one is not part]
            if _is_last(other, nest) and _is_fixed(count, loop) and limit_of(loop) is None:
                return Accumulation(update, count)
        elif count is not None and not parts:
            raise ManualOptimizationError(
                update, "an epoch's last batches may wait for the next epoch, where Lightning steps at its last batch"
            )
    raise ManualOptimizationError(update, "its step depends on a condition")


def zeroes_first(node: ast.stmt, accumulation: Accumulation, loop: Batches) -> bool:
    """Whether a statement zeroes at the first batch of each step: `if i % K == 0: optimizer.zero_grad()`."""
    if not isinstance(node, ast.If) or node.orelse or len(node.body) != 1:
        return False
    events = events_in(own_nodes([node]))
    count = _every(node.test, loop, first=True)
    return (
        [event.kind for event in events] == [ZERO]
        and isinstance(node.body[0], ast.Expr)
        and count is not None
        and ast.dump(count) == ast.dump(accumulation.count)
    )


def mean_of(loss: ast.expr, step: list[ast.stmt], accumulation: Accumulation, nest: Nest) -> tuple[ast.expr, Mean]:
    """The loss before it is divided, and how it was. Raises `ManualOptimizationError` where it is not."""
    count = ast.dump(accumulation.count)
    if _divides(loss, count):
        assert isinstance(loss, ast.BinOp)
        return loss.left, Mean()
    name = loss.id if isinstance(loss, ast.Name) else ""
    places = [at for at, node in enumerate(step) if name in _stored(node)]
    if name and places:
        made = step[places[-1]]
        readers = tuple(node for node in step[places[-1] + 1 :] if name in _loaded(node))
        mean: Mean | None = None
        if isinstance(made, ast.AugAssign) and isinstance(made.op, ast.Div) and ast.dump(made.value) == count:
            mean = Mean(made, (), name, readers)
        elif isinstance(made, ast.Assign) and _divides(made.value, count) and dotted(made.targets[0]) == name:
            assert isinstance(made.value, ast.BinOp)
            alone = len(made.targets) == 1
            if alone and dotted(made.value.left) == name:
                mean = Mean(made, (), name, readers)
            elif alone:
                mean = Mean(None, (made.value,), name, readers)
        if mean is not None:
            _not_later(name, nest)
            return loss, mean
    raise ManualOptimizationError(loss, "gradients of several batches are added up, where Lightning takes their mean")


def _steps(node: ast.If) -> bool:
    return any(event.kind == STEP for event in events_in(own_nodes([node])))


def _every(test: ast.expr, loop: Batches, first: bool = False) -> ast.expr | None:
    """K in `(i + 1) % K == 0`, `not (i + 1) % K`; with `first`, of the batch that begins one: `i % K == 0`."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        other = test.comparators[0]
        rest: ast.expr | None = test.left if isinstance(other, ast.Constant) and other.value == 0 else None
    else:
        rest = test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else None
    if not isinstance(rest, ast.BinOp) or not isinstance(rest.op, ast.Mod):
        return None
    return rest.right if _ahead(rest.left, loop) == (-loop.start if first else 1 - loop.start) else None


def _ahead(node: ast.expr, loop: Batches) -> int | None:
    """What is added to the batch's index; None where the expression is another one."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for left, right in ((node.left, node.right), (node.right, node.left)):
            if isinstance(right, ast.Constant) and isinstance(right.value, int) and _ahead(left, loop) == 0:
                return right.value
    return 0 if isinstance(node, ast.Name) and node.id == loop.index else None


def _is_last(test: ast.expr, nest: Nest) -> bool:
    """`i + 1 == len(loader)`, `i == len(loader) - 1`, also with `>=`."""
    loop = nest.train
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq | ast.GtE):
        return False
    ahead, length, less = _ahead(test.left, loop), test.comparators[0], 0
    if isinstance(length, ast.BinOp) and isinstance(length.op, ast.Sub) and _is_int(length.right):
        less, length = int(ast.literal_eval(length.right)), length.left
    return ahead is not None and ahead + less == 1 - loop.start and _is_length(length, nest)


def _is_int(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def _is_length(node: ast.expr, nest: Nest) -> bool:
    frame = nest.train.frame
    if isinstance(node, ast.Name):
        values = frame.function.assigned.get(node.id) or nest.base.function.assigned.get(frame.canonical(node.id), [])
        stores = [one for one in frame.function.own if isinstance(one, ast.Name) and one.id == node.id and _binds(one)]
        return len(values) == 1 and len(stores) <= 1 and _is_length(values[0], nest)
    return (
        isinstance(node, ast.Call)
        and dotted(node.func) == "len"
        and len(node.args) == 1
        and bool(dotted(node.args[0]))
        and (frame.entry(node.args[0]),) == nest.train.entries
    )


def _is_fixed(count: ast.expr, loop: Batches) -> bool:
    stored = {node.id for node in own_nodes([loop.node]) if isinstance(node, ast.Name) and _binds(node)}
    return is_constant(count, stored) and stays(count, loop)


def _divides(node: ast.expr, count: str) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and ast.dump(node.right) == count


def _stored(node: ast.AST) -> set[str]:
    return {one.id for one in own_nodes([node]) if isinstance(one, ast.Name) and _binds(one)}  # type: ignore[list-item]


def _loaded(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and not _binds(one)}


def _not_later(name: str, nest: Nest) -> None:
    """The divided loss is known by its name to the batch alone."""
    later = [*(item.node for item in nest.items if item.frame is nest.train.frame)]
    end = nest.train.node.end_lineno or 0
    later += [node for node in nest.train.frame.function.body if node.lineno > end]
    for node in later:
        if name in _loaded(node):
            raise ManualOptimizationError(node, f"{name} is read after the epoch, divided")


def _binds(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)
