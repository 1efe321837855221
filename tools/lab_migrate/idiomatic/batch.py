"""What one batch does, sorted into what Lightning does by itself and what stays: automatic optimization.

    forward and loss -> training_step, which returns the loss
    zero_grad, backward, step -> Lightning's; under `if (i + 1) % K == 0 or …` by accumulate_grad_batches
    clip_grad_norm_ -> configure_gradient_clipping
    scheduler.step() -> interval "step"
    figures -> training_step; whatever needs the updated weights -> on_train_batch_end

Anything else raises `ManualOptimizationError`: the step then stays verbatim under manual optimization.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

import attrs

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.events import BACKWARD, STEP, ZERO, Event, events_in
from lab_migrate.analysis.symbols import dotted, own_nodes
from lab_migrate.idiomatic.accumulate import Accumulation, Mean, accumulation_of, mean_of, zeroes_first
from lab_migrate.idiomatic.autocast import is_untouched
from lab_migrate.idiomatic.ends import leaves
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.precision import Precision, precision_of
from lab_migrate.idiomatic.quiet import adds_number, is_quiet
from lab_migrate.idiomatic.refused import ManualOptimizationError
from lab_migrate.idiomatic.roles import Roles, is_torchs
from lab_migrate.idiomatic.scaled import Scaled
from lab_migrate.idiomatic.weighted import Weighted


@attrs.define(eq=False)
class Automatic:
    """The parts of one batch. `clip` is the statement that clips, `zero` a zeroing that Lightning's does not equal."""

    step: list[ast.stmt]
    loss: ast.expr
    tail: list[ast.stmt]
    clip: ast.stmt | None
    zero: ast.stmt | None
    #: Schedules that step after each optimizer step.
    schedules: list[str]
    accumulation: Accumulation | None = None
    mean: Mean = attrs.field(factory=Mean)
    #: Autocast and scaler that the Trainer has, or why the legacy autocast stays where it is.
    precision: Precision | None = None
    kept_autocast: str = ""
    #: Parts of statements that Lightning does.
    dropped: set[int] = attrs.field(factory=set)


def automatic(nest: Nest, roles: Roles, graph: CallGraph) -> Automatic:
    """Sort a batch's statements. Raises `ManualOptimizationError`."""
    precision, kept = precision_of(nest, roles, graph)
    try:
        found = _Sorter(nest, roles, precision, graph).sort()
    except ManualOptimizationError as error:
        if kept and any(
            isinstance(node, ast.Attribute) and node.attr == "scale" for node in own_nodes(nest.train.body)
        ):
            error.reason = f"its scaler is none of Lightning's: {kept}"
        raise
    found.kept_autocast = kept
    return found


class _Sorter:
    def __init__(self, nest: Nest, roles: Roles, precision: Precision | None, graph: CallGraph) -> None:
        self.nest = nest
        self.roles = roles
        self.graph = graph
        self.precision = precision
        self.scaled = Scaled(precision.scaler if precision is not None else "", nest.train.frame)
        self.frame: Frame = nest.train.frame
        self.weighted = Weighted(nest, roles, graph)
        self.found = Automatic([], ast.Constant(None), [], None, None, [], precision=precision)
        self.place = "before"
        self.zeroed = False
        #: Whether what is sorted stands under the condition of the accumulation.
        self.inside = False

    def sort(self) -> Automatic:
        training = self.nest.training
        for kind in (training.backward, training.step):
            for reach in kind:
                inner = self.roles.wrapper is not None and reach.event.kind == STEP
                if not reach.direct and not inner:
                    raise ManualOptimizationError(self.nest.train.node, f"{reach.event.kind} happens at {reach.place}")
        if len(self.roles.optimizers) != 1:
            raise ManualOptimizationError(training.step[0].event.node, "several optimizers step")
        if len(self.roles.models) > 1:
            raise ManualOptimizationError(self.nest.train.node, "several models train or are zeroed")
        self.found.accumulation = accumulation = accumulation_of(self.nest)
        body = self.nest.train.body
        for node in self.precision.body(body) if self.precision is not None else body:
            if accumulation is not None and node is accumulation.update:
                self._update(accumulation.update)
            elif accumulation is not None and zeroes_first(node, accumulation, self.nest.train):
                self.inside = True
                self._zero(events_in(own_nodes([node]))[0], node)
                self.inside = False
            else:
                self._statement(node)
        if self.place != "stepped":
            raise ManualOptimizationError(self.nest.train.node, "backward and step are no plain statements")
        if not self.zeroed:
            raise ManualOptimizationError(self.nest.train.node, "a batch's gradients are added to those before it")
        self.scaled.check(self.found.clip is not None, self.nest.train.node)
        if accumulation is not None:
            loss, step = self.found.loss, self.found.step
            self.found.loss, self.found.mean = mean_of(loss, step, accumulation, self.nest)
            self.found.dropped |= {id(self.found.mean.dropped)}
        return self.found

    def _update(self, update: ast.If) -> None:
        """The statements of an accumulated step; those after it keep their condition."""
        self.inside = True
        tail, self.found.tail = self.found.tail, []
        for node in update.body:
            self._statement(node)
        kept, self.found.tail = self.found.tail, tail
        self.inside = False
        if kept:
            self.found.tail.append(update)
            self.found.dropped |= {id(node) for node in update.body if not any(node is one for one in kept)}

    def _statement(self, node: ast.stmt) -> None:
        inner = own_nodes([node])
        events = events_in(inner)
        call = _bare_call(node)
        schedule = self._schedule(node)
        if events and (len(events) > 1 or call is not events[0].node):
            raise ManualOptimizationError(events[0].node, f"its {events[0].kind} depends on a condition or a loop")
        if events:
            self._event(events[0], node)
        elif self.scaled.statement(node, self.place, self.inside == (self.found.accumulation is not None)):
            pass
        elif schedule is not None:
            self._schedule_steps(schedule, node)
        elif clip_in(node) is not None:
            self._clip(node)
        elif any(
            isinstance(one, ast.Continue | ast.Return | ast.Yield | ast.Global | ast.Nonlocal)
            and id(one) not in self.nest.stops
            for one in inner
        ):
            raise ManualOptimizationError(node, "a batch may end early")
        elif self.place != "stepped" and leaves(node, self.nest):
            raise ManualOptimizationError(node, "it may end before its step")
        elif self.place == "before" or (not self.inside and self._may_come_earlier(node)):
            self.found.step.append(node)
        elif self.place == "backward":
            raise ManualOptimizationError(node, "something happens between backward and step")
        elif _shows(node, {one.id for one in ast.walk(self.found.loss) if isinstance(one, ast.Name)}):
            raise ManualOptimizationError(node, "it shows the loss with its graph, which Lightning hands on without")
        else:
            self.found.tail.append(node)

    def _event(self, event: Event, node: ast.stmt) -> None:
        call = event.node
        assert isinstance(call, ast.Call)
        if event.kind == BACKWARD:
            if self.place != "before":
                raise ManualOptimizationError(node, "a batch has several backward passes")
            if call.args or call.keywords:
                raise ManualOptimizationError(node, "backward takes arguments")
            assert isinstance(call.func, ast.Attribute)
            self.found.loss, self.place = self.scaled.loss(call.func.value, node), "backward"
        elif event.kind == STEP:
            scaled = self.scaled.steps(call, self.roles.optimizers)
            if self.place != "backward" or (call.args and not scaled) or call.keywords or not event.receiver:
                raise ManualOptimizationError(node, "the optimizer steps in a form of its own")
            assert isinstance(call.func, ast.Attribute)
            wrapper = self.roles.wrapper
            if call.func.attr != (wrapper.method if wrapper else "step"):
                raise ManualOptimizationError(node, f"the optimizer steps by {call.func.attr}()")
            self.place = "stepped"
        elif event.kind == ZERO:
            self._zero(event, node)

    def _zero(self, event: Event, node: ast.stmt) -> None:
        call = event.node
        assert isinstance(call, ast.Call)
        if self.place == "backward":
            raise ManualOptimizationError(node, "gradients are zeroed between backward and step")
        receiver = self.frame.canonical(event.receiver)
        if receiver not in self.roles.optimizers and receiver not in self.roles.models:
            raise ManualOptimizationError(node, f"what {event.receiver}.zero_grad() zeroes cannot be told")
        if self.found.accumulation is not None and not self.inside:
            raise ManualOptimizationError(node, "gradients of single batches are zeroed")
        self.zeroed = True
        to_zero = [word.value for word in call.keywords if word.arg == "set_to_none"] + list(call.args)
        plain = all(isinstance(value, ast.Constant) and value.value is True for value in to_zero)
        if not plain or (receiver in self.roles.models and not whole_model(self.roles, receiver)):
            self.found.zero = node

    def _clip(self, node: ast.stmt) -> None:
        if self.place != "backward" or self.found.clip is not None:
            raise ManualOptimizationError(node, "gradients are clipped in a form of its own")
        self.found.clip = node

    def _schedule(self, node: ast.stmt) -> str | None:
        call = _bare_call(node)
        if call is None or not isinstance(call.func, ast.Attribute) or call.func.attr != "step":
            return None
        receiver = self.frame.canonical(call.func.value)
        return receiver if receiver in self.roles.schedules else None

    def _schedule_steps(self, schedule: str, node: ast.stmt) -> None:
        call = _bare_call(node)
        assert call is not None
        if self.place == "backward":
            raise ManualOptimizationError(node, "the schedule steps between backward and step")
        if self.place == "before":
            self.found.step.append(node)
        elif call.args or call.keywords or self.found.tail or not self._is_lightnings(schedule):
            self.found.tail.append(node)
        else:
            self.found.schedules.append(schedule)

    def _is_lightnings(self, schedule: str) -> bool:
        return is_torchs(self.roles.made[schedule], self.graph)

    def _may_come_earlier(self, node: ast.stmt) -> bool:
        """Whether a statement after backward or step computes the same before them."""
        if (self.precision is not None and not is_untouched(node)) or leaves(node, self.nest):
            return False
        if any(isinstance(one, ast.Raise | ast.Assert) for one in own_nodes([node])):
            return False  # the error leaves the weights as they are there
        if self.found.tail or self._reads_after_schedule(node) or not is_quiet(node, self.frame, self.roles):
            return False
        if self.weighted.is_read(node, self.frame):
            return False
        clip = [self.found.clip] if self.found.clip is not None else []
        if _named([node]) & _named(clip, stored=True):
            return False  # the norm that the clipping finds
        if _named([node], stored=True) & _named(clip):
            return False  # a counter that the clipping asks
        in_place = [one.target for one in _counts(node) if not adds_number(one) or not isinstance(one.op, ast.Add)]
        if _named(in_place, stored=True) & _named(self.found.step):
            return False  # a tensor that changes in place, and that the loss may be made from
        changed = {dotted(one.target) for one in _counts(node)} - {""}
        made = _named(self.found.step, stored=True) - self._counters()
        return not changed & made and not _named([node], stored=True) & _named([self.found.loss])

    def _counters(self) -> set[str]:
        """Names that a batch only counts in."""
        return {dotted(part.target) for part in self.found.step if isinstance(part, ast.AugAssign)} - {""}

    def _reads_after_schedule(self, node: ast.stmt) -> bool:
        """A learning rate read after the schedule's step is the next one."""
        if not self.found.schedules and self.roles.wrapper is None:
            return False
        rates = [*self.roles.schedules, *self.roles.optimizers]
        return any(self.frame.canonical(one) in rates for one in ast.walk(node) if dotted(one))


def _shows(node: ast.stmt, names: set[str]) -> bool:
    """Whether a statement prints, formats or raises one of these tensors as it is."""
    for one in own_nodes([node]):
        values: list[ast.expr] = []
        if isinstance(one, ast.FormattedValue):
            values = [one.value]
        elif isinstance(one, ast.Assert):
            values = [one.msg] if one.msg is not None else []
        elif isinstance(one, ast.Call) and (
            dotted(one.func) in ("print", "str", "repr") or isinstance(node, ast.Raise)
        ):
            values = one.args
        parts = [part for value in values for part in (value.elts if isinstance(value, ast.Tuple) else [value])]
        if any(isinstance(part, ast.Name) and part.id in names for part in parts):
            return True
    return False


def _named(nodes: Sequence[ast.AST], stored: bool = False) -> set[str]:
    """Names and attributes that statements have, or those that they give a value."""
    every = (one for node in nodes for one in ast.walk(node) if isinstance(one, ast.Name | ast.Attribute))
    return {dotted(one) for one in every if not stored or isinstance(one.ctx, ast.Store)} - {""}


def _counts(node: ast.stmt) -> list[ast.AugAssign]:
    return [one for one in own_nodes([node]) if isinstance(one, ast.AugAssign)]


def _bare_call(node: ast.stmt) -> ast.Call | None:
    return node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None


def clip_in(node: ast.stmt) -> ast.Call | None:
    """The call of a statement that only clips, perhaps under a condition."""
    if isinstance(node, ast.If) and not node.orelse and len(node.body) == 1:
        node = node.body[0]
    value = node.value if isinstance(node, ast.Expr | ast.Assign) else None
    clips = isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in (
        "clip_grad_norm_", "clip_grad_value_", "clip_grad_norm",
    )  # fmt: skip
    return value if clips and isinstance(value, ast.Call) else None


def whole_model(roles: Roles, model: str) -> bool:
    """Whether the optimizer was made from all of the model's parameters, as they come."""
    made = roles.made.get(roles.optimizers[0])
    if made is None or not made.call.args or roles.grow:
        return False
    first = made.call.args[0]
    return isinstance(first, ast.Call) and not first.args and dotted(first.func) == f"{model}.parameters"
