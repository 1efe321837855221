"""Which hook of the LightningModule each statement goes to."""

from __future__ import annotations

import ast
from collections import Counter

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.batch import Automatic, automatic
from lab_migrate.idiomatic.batches import without_no_grad
from lab_migrate.idiomatic.clip import trainer_clip
from lab_migrate.idiomatic.draws import refuse_early_draws
from lab_migrate.idiomatic.epochs import STOP
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.gradients import (
    refuse_gradients_from_before,
    refuse_gradients_in_validation,
    refuse_looks_at_gradients,
)
from lab_migrate.idiomatic.limits import Limit, limit_of, refuse_early_ends
from lab_migrate.idiomatic.modes import Modes, modes_of
from lab_migrate.idiomatic.moves import Moves
from lab_migrate.idiomatic.names import TAIL, TRAIN, VALIDATE
from lab_migrate.idiomatic.nest import Nest, in_inner_loop
from lab_migrate.idiomatic.own_batches import own_batches
from lab_migrate.idiomatic.own_step import refuse_hooks_before_steps, refuse_own_steps
from lab_migrate.idiomatic.reach import reached
from lab_migrate.idiomatic.refused import ManualOptimizationError, NotIdiomaticError
from lab_migrate.idiomatic.roles import Roles, is_torchs
from lab_migrate.idiomatic.steps import refuse_counted_by_batches

EPOCH_START, EPOCH_END = "on_train_epoch_start", "on_train_epoch_end"
CLIP, ZERO = "configure_gradient_clipping", "optimizer_zero_grad"
BEFORE_STEP = "on_before_optimizer_step"
VALIDATION_START, VALIDATION_END = "on_validation_epoch_start", "on_validation_epoch_end"
#: Hooks in the order in which a reader meets them.
ORDER = (EPOCH_START, TRAIN, BEFORE_STEP, CLIP, ZERO, TAIL, VALIDATION_START, VALIDATE, VALIDATION_END, EPOCH_END)


@attrs.define(eq=False)
class Hooks:
    """The LightningModule's hooks, before names are decided."""

    items: dict[str, list[Item]]
    automatic: Automatic | None
    #: Why the step stays verbatim, where it does.
    manual: ManualOptimizationError | None
    #: Schedules that step after each epoch.
    epoch_schedules: list[str]
    dropped: set[int]
    #: Lines for statements that mean something else in a hook, by their `id`.
    instead: dict[int, str]
    #: The Trainer's settings that clip as the legacy line does, where there are such.
    clip: tuple[str, ...] | None
    train_limit: Limit | None
    validation_limit: Limit | None
    train_moves: Moves
    validation_moves: Moves | None
    modes: Modes
    #: Batches are moved as the legacy code moves them, if it does.
    own_batches: bool = False


def hooks_of(nest: Nest, roles: Roles, graph: CallGraph) -> Hooks:
    """Sort all statements of a nest. Raises `NotIdiomaticError`."""
    try:
        if roles.wrapper is None:
            refuse_own_steps(nest, roles, graph)
        refuse_hooks_before_steps(nest, graph)
        sorted_batch = automatic(nest, roles, graph)
        if roles.distributed is not None and sorted_batch.accumulation is not None:
            why = "each batch's gradients are reduced, where Lightning reduces their sum"
            raise ManualOptimizationError(sorted_batch.accumulation.update, why)
        refuse_looks_at_gradients(nest, sorted_batch, graph)
        if sorted_batch.accumulation is not None and roles.wrapper is not None:
            raise ManualOptimizationError(sorted_batch.accumulation.update, "the optimizer's wrapper steps in it")
        epoch_schedules = _epoch_schedules(nest, roles, sorted_batch, graph)
        manual = None
    except ManualOptimizationError as error:
        sorted_batch, epoch_schedules, manual = None, [], error
    dropped = {id(item.node) for item in nest.items if _schedule_of(item, roles) in epoch_schedules}
    # In a script the global names are the base frame's own, and become attributes like those.
    dropped |= {id(item.node) for item in nest.items if isinstance(item.node, ast.Global)}
    dropped |= {id(node) for node in roles.distributed.epochs} if roles.distributed is not None else set()
    dropped |= {id(item.node) for item in nest.items if _for_header(item, nest)}
    modes = modes_of(nest, roles, graph)
    dropped |= modes.dropped
    if roles.distributed is not None and manual is not None:
        raise NotIdiomaticError(
            "LM302", nest.base.module.path, nest.epochs, f"it trains in several processes, and {manual.reason}",
            "keep the faithful way, which leaves processes and wrapper as they are",
        )  # fmt: skip
    if nest.steps is not None and manual is not None and not nest.train.is_counted:
        raise refuse_counted_by_batches(nest, manual.reason)
    train_limit = limit_of(nest.train, nest.stops) if nest.steps is None else None
    validation_limit = limit_of(nest.validation) if nest.validation else None
    dropped |= {id(limit.dropped) for limit in (train_limit, validation_limit) if limit}
    own = own_batches(nest, graph)
    train_moves = Moves(nest.train, roles, own=own)
    validation_moves = Moves(nest.validation, roles, own=own) if nest.validation else None
    for moves in filter(None, (train_moves, validation_moves)):
        loop = nest.train if moves is train_moves else nest.validation
        assert loop is not None
        dropped |= {id(node) for node in loop.body if moves.is_identity(node)}
    if sorted_batch is not None:
        dropped |= {id(item.node) for item in nest.before if _zeroes(item)} | sorted_batch.dropped
        if nest.validation is not None:
            validation = [Item(nest.validation.frame, node) for node in nest.validation.body]
            dropped |= {id(item.node) for item in validation if _zeroes(item)}
        step = [Item(nest.train.frame, node) for node in sorted_batch.step]
        tail = [Item(nest.train.frame, node) for node in sorted_batch.tail]
    else:
        step, tail = [Item(nest.train.frame, node) for node in nest.train.body], []
        refuse_early_ends(nest.train, nest.stops)
    if nest.train.drawn is not None and not nest.train.drawn.is_silent:
        (tail if sorted_batch is not None else step).append(nest.train.drawn.moved_on())
    items = {EPOCH_START: nest.before, TRAIN: step}
    clip = None
    if sorted_batch is not None:
        clip = trainer_clip(sorted_batch.clip, nest, roles, graph) if sorted_batch.clip else None
        own_clip = [sorted_batch.clip] if sorted_batch.clip and clip is None else []
        items[CLIP] = [Item(nest.train.frame, node) for node in own_clip]
        items[ZERO] = [Item(nest.train.frame, node) for node in filter(None, [sorted_batch.zero])]
        if roles.wrapper is not None:
            items[BEFORE_STEP] = roles.wrapper.before
            tail = [*roles.wrapper.after, *tail]
    items[TAIL] = tail
    if nest.validation is not None:
        frame = nest.validation.frame
        items[VALIDATION_START] = nest.between
        body = nest.validation.body
        if sorted_batch is not None and sorted_batch.precision is not None:
            body = sorted_batch.precision.body(body)
        items[VALIDATE] = [Item(frame, node) for node in without_no_grad(body)]
        if nest.validation.drawn is not None and not nest.validation.drawn.is_silent:
            items[VALIDATE].append(nest.validation.drawn.moved_on())
        items[VALIDATION_END] = [
            item for item in nest.after if item.frame is frame is not nest.base or item.node.lineno in nest.phased
        ]
        refuse_gradients_in_validation([*items[VALIDATION_START], *items[VALIDATION_END]], graph)
    ended = items.get(VALIDATION_END, [])
    items[EPOCH_END] = [item for item in nest.after if item not in ended]
    refuse_gradients_from_before(nest, graph)
    refuse_early_draws(nest, roles, dropped, graph)
    items = {
        # What clips and zeroes has gone from its place, and stands in a hook of its own.
        hook: [one for one in listed if hook in (CLIP, ZERO) or id(one.node) not in dropped or one.result is not None]
        for hook, listed in items.items()
    }
    stops = _stops(items[EPOCH_END], nest) | _stops(items[TRAIN], nest) | _stops(items[TAIL], nest)
    stops |= _skips(items[TRAIN]) | _skips(items.get(VALIDATE, []))
    return Hooks(
        items, sorted_batch, manual, epoch_schedules, dropped, stops, clip, train_limit, validation_limit, train_moves,
        validation_moves, modes, own,
    )  # fmt: skip


def _epoch_schedules(nest: Nest, roles: Roles, sorted_batch: Automatic, graph: CallGraph) -> list[str]:
    """Schedules of PyTorch's that step once an epoch, after its batches, whose rate nothing reads before that.

    Any other stays where it is, and steps by its own line.
    """
    found: list[str] = []
    steps = _steps(nest, roles)
    for name in sorted_batch.schedules:
        if steps[name] > 1:
            raise ManualOptimizationError(roles.made[name].statement, "the schedule steps twice")
    for item in [*nest.between, *nest.after]:
        name = _schedule_of(item, roles)
        if name:
            assert isinstance(item.node, ast.Expr)
            assert isinstance(item.node.value, ast.Call)
            plain = not item.node.value.args and not item.node.value.keywords and steps[name] == 1
            if not plain or name in sorted_batch.schedules or not is_torchs(roles.made[name], graph):
                return []
            found.append(name)
        elif not found and _reads_rate(item.frame, item.node, roles, graph):
            return []
    for node in [*sorted_batch.tail, *(nest.validation.body if nest.validation else [])] if found else ():
        frame = nest.train.frame if node in sorted_batch.tail else nest.validation.frame  # type: ignore[union-attr]
        if not _zeroes(Item(frame, node)) and _reads_rate(frame, node, roles, graph):
            return []
    return found


def _stops(items: list[Item], nest: Nest) -> dict[int, str]:
    """A `break` after an epoch, or what else ends the training, stops the Trainer."""
    found: dict[int, str] = {}
    for item in items:
        for node in own_nodes([item.node]):
            ends = isinstance(node, ast.Break) and item in nest.after and not in_inner_loop([item.node], node)
            if ends or id(node) in nest.stops:
                found[id(node)] = STOP
                if item is not items[-1] or not _ends_with(item.node, node):
                    found[id(node)] += "\nreturn"
    return found


def _skips(items: list[Item]) -> dict[int, str]:
    """A `continue` leaves the hook, as it left the batch; those of loops within are theirs."""
    body = [item.node for item in items]
    return {
        id(node): "return"
        for node in own_nodes(body)
        if isinstance(node, ast.Continue) and not in_inner_loop(body, node)
    }


def _ends_with(statement: ast.stmt, last: ast.AST) -> bool:
    """Whether nothing of a statement can run after one of its parts."""
    while isinstance(statement, ast.If):
        suites = (statement.body, statement.orelse)
        body = next((one for one in suites if any(last is node for node in own_nodes(one))), None)
        if body is None:
            return False  # it stands in an earlier statement
        statement = body[-1]
    return statement is last


def _steps(nest: Nest, roles: Roles) -> Counter[str]:
    """How many lines of the nest step each schedule."""
    frames = [(nest.train.frame, node) for node in own_nodes(nest.train.body)]
    frames += [(item.frame, node) for item in nest.items for node in own_nodes([item.node])]
    return Counter(
        name
        for frame, node in frames
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "step"
        if (name := frame.canonical(node.func.value)) in roles.schedules
    )


def _reads_rate(frame: Frame, node: ast.stmt, roles: Roles, graph: CallGraph) -> bool:
    """Lightning steps an epoch's schedule after the last batch, before validation: a rate read later is the next."""
    names = {*roles.schedules, *roles.optimizers}

    def does(one: ast.AST, within: Function) -> bool:
        # Another schedule, or what passes for one, computes its rate from this one's.
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "step":
            return True
        name = dotted(one)
        if within is frame.function:
            return bool(name) and frame.canonical(name) in names
        head, _, rest = name.partition(".")
        # Another function has it as a global name, or as the attribute of its class.
        return (name in names and head not in within.parameters) or (bool(rest) and f"self.{rest}" in names)

    return reached([node], frame, graph, does) is not None


def _schedule_of(item: Item, roles: Roles) -> str:
    node = item.node
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        name = item.frame.canonical(node.value.func.value)
        if node.value.func.attr == "step" and name in roles.schedules:
            return name
    return ""


def _for_header(item: Item, nest: Nest) -> bool:
    """Whether a statement only names a text or number for a loop's header, as for its progress bar."""
    node = item.node
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant) or len(node.targets) != 1:
        return False
    target = node.targets[0]
    if not isinstance(target, ast.Name) or item.frame.is_script:
        return False
    loops = nest.loops
    headers = {id(one) for loop in loops if isinstance(loop.node, ast.For) for one in ast.walk(loop.node.iter)}
    uses = [one for one in ast.walk(item.frame.function.node) if isinstance(one, ast.Name) and one.id == target.id]
    reads = [one for one in uses if one is not target]
    return bool(reads) and all(id(one) in headers for one in reads)


def _zeroes(item: Item) -> bool:
    node = item.node
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr == "zero_grad"
    )
