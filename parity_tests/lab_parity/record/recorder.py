"""The recorder: torch's own hooks in, steps of a trace out."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import attrs
import torch
from torch.optim import Optimizer

from lab_parity.errors import ParityError
from lab_parity.evaluated import LATE
from lab_parity.record.by_hand import ByHand
from lab_parity.record.calls import Calls, Waiting
from lab_parity.record.capture import Capture
from lab_parity.record.evaluations import Evaluated, Evaluations
from lab_parity.record.fingerprint import fingerprint_for, on_device, settled_rows
from lab_parity.record.inside import parameters_of, with_inside
from lab_parity.record.ledger import Booked, Ledger, drawn
from lab_parity.record.micro import MicroSteps
from lab_parity.record.new_trace import new_trace
from lab_parity.record.notes import Notes
from lab_parity.record.phases.buffer import buffer_rows
from lab_parity.record.phases.ema import AtForward, average_rows, left_averages, watch_averages
from lab_parity.record.phases.grad import grad_rows
from lab_parity.record.phases.hyper import hyper_rows
from lab_parity.record.phases.param import left_parameters, param_rows
from lab_parity.record.phases.rng import Generators
from lab_parity.record.phases.state import state_rows
from lab_parity.record.sites import UpdateSite
from lab_parity.record.transplant import Transplant
from lab_parity.record.uncompiled import watch_compile
from lab_parity.record.under import Under
from lab_parity.record.updates import Update, Updates, has_gradient
from lab_parity.record.view import OptimizerView, Views
from lab_parity.record.window import Finished
from lab_parity.shards import shard_texts
from lab_parity.sparse import sparse_texts
from lab_parity.trace import End, Key, Row, Scope
from lab_parity.trace_writer import TraceWriter

__all__ = ["Recorder"]


@attrs.frozen(slots=True, eq=False)
class _Ended:
    """A step that has ended, with what it took from those who collect, until it is written."""

    update: Update
    number: int
    view: OptimizerView
    rows: list[Row]
    micro: tuple[list[Row], int]
    waiting: Waiting
    evaluated: Evaluated
    booked: Booked
    finished: Finished | None


class Recorder:
    """Records a run from `start()` to `stop(end)`.

    The file is made at the first step, or at the stop. `shared`: other processes of the same run may want the same
    path, and then the later one adds its process id to the name instead of failing. `capture` are the steps of which
    full tensors are written beside the trace, `states` those of which what they leave behind is. `after_step` is told
    each step's number when it has been written; `transplant` gives the program another run's state around each update
    (see transplant.py).
    `scope` says how much is recorded: of each optimizer one of every `scope.every` steps, its first one included.
    Raises ParityError where `capture` and `scope.every` exclude each other.
    """

    def __init__(
        self,
        path: Path,
        sites: Sequence[UpdateSite] = (),
        *,
        shared: bool = False,
        capture: Collection[int] = (),
        states: Collection[int] = (),
        after_step: Callable[[int], None] | None = None,
        transplant: Transplant | None = None,
        scope: Scope | None = None,
    ) -> None:
        self._scope = scope or Scope()
        if (capture or states) and self._scope.every > 1:
            raise ParityError("capture needs every step to be recorded; leave out `every`")
        self.path = path
        self._shared = shared
        self._after_step_written = after_step
        self._transplant = transplant
        self._process = os.getpid()
        self._writer: TraceWriter | None = None
        self._notes = Notes()
        self._views = Views()
        self._generators = Generators(self._scope.every)
        self._fingerprint = fingerprint_for(self._scope)
        self._at_forward = AtForward(self._views, self._fingerprint)
        self._taken = 0
        self._under = Under()
        self._capture = Capture(capture, states, lambda: self._taken, self._generators.states)
        self._by_hand = ByHand(self)
        self._seen_by_hand: Update | None = None
        self._in_doubt: _Ended | None = None
        self._initial: dict[Key, Row] = {}
        self._updates = Updates(sites, self._views, self._give_way, self._see, self._end)
        self._evaluations = Evaluations(self._notes)
        self._micro = MicroSteps(
            self._notes, self._generators, self._fingerprint, self._capture, self._by_hand, self._evaluations,
            self._listening, self._at_forward, self._updates.gradients_changed,
        )  # fmt: skip
        self._calls = Calls(self._notes, self._listening, self._clipped)
        self._ledger = Ledger(self._notes, lambda: self._micro.count) if self._scope.ledger else None
        self._undo: list[Callable[[], None]] = []

    @property
    def steps(self) -> int:
        """Steps written so far."""
        return self._writer.steps if self._writer is not None else 0

    def start(self) -> None:
        """Put the hooks in place. Raises SiteError when an imported module lacks its site's method."""
        self._undo += [*self._updates.watch(), watch_compile()]
        # An outermost call is over for the capture before it is for the micro-steps, which tell it so.
        self._undo += [*self._generators.watch(), *self._capture.watch(), *self._micro.watch(), *self._calls.watch()]
        averaging = self._views.averaging
        self._undo.append(watch_averages(lambda average, trained: self._notes.guard(averaging, average, trained)))
        if self._ledger is not None:
            self._undo += self._ledger.watch()
            self._notes.around = torch._C.DisableTorchFunction  # the recorder's own calls are of no interest

    def stop(self, end: End) -> None:
        """Take the hooks away and write the end. In a forked child, whose file this is not, only the former.

        A second call does nothing.
        """
        if not self._undo:
            return
        for action in reversed(self._undo):
            action()
        self._undo.clear()
        if self._active():
            self._notes.guard(self._by_hand.end)
            under, first = self._under.steps, self._under.first
            evaluated = self._notes.guard(self._evaluations.take().texts) or {}
            late = self._notes.guard(self._views.late_averages) or ()
            evaluated |= self._notes.guard(left_parameters, self._views.parameters()) or {}
            evaluated |= self._notes.guard(left_averages, self._views.averages()) or {}
            evaluated |= self._notes.guard(left_averages, late, LATE) or {}
            notes = tuple(self._notes.take())
            end = attrs.evolve(end, notes=notes, taken=self._taken, under=under, first=first, evaluated=evaluated)
            self._open().close(end)

    def see_by_hand(self, by_hand: ByHand) -> None:
        """A backward pass has ended outside of updates (else it is a closure's), or gradients have changed since."""
        if not self._updates:
            look = functools.partial(self._views.by_hand, by_hand)
            self._seen_by_hand = Update(by_hand, look, by_hand.groups)
            self._see(self._seen_by_hand, None)

    def write_by_hand(self, by_hand: ByHand, in_doubt: bool) -> None:
        """Parameters have changed since: an update, or what may turn out to be none."""
        update, self._seen_by_hand = self._seen_by_hand, None
        if update is None or self._updates or not self._active():
            return
        known = self._transplant is not None and self._transplant.by_hand(self._taken)
        if not in_doubt or known or not update.gradients:
            self._end(update)
        else:
            self._in_doubt = self._ended(update)
            self._taken += 1
            self._capture.doubt(True)

    def settle_doubt(self, was_update: bool) -> None:
        """What was in doubt was a step, or is a part of the one to come."""
        ended, self._in_doubt = self._in_doubt, None
        self._capture.doubt(False)
        if ended is None:
            return
        if was_update:
            self._write(ended)
            self._count(ended.update)
            return
        self._taken -= 1
        self._seen_by_hand = None
        self._initial = self._initial or {row.key: row for row in ended.update.initial}
        self._micro.give_back(*ended.micro)
        self._calls.give_back(ended.waiting)
        self._evaluations.give_back(ended.evaluated)
        if ended.finished is not None:
            self._capture.give_back(ended.finished, ended.micro[1])
        if self._ledger is not None:
            self._ledger.give_back(ended.booked, ended.micro[1])

    def _give_way(self) -> None:
        self._notes.guard(self._by_hand.give_way)
        self._seen_by_hand = None

    def _clipped(self) -> None:
        self._by_hand.look_again()
        self._updates.gradients_changed()

    def _see(self, update: Update, only: Optimizer | None) -> None:
        # An update without a single gradient changes nothing: it is no step. A view of odd groups says what is odd.
        odd = not isinstance(update.groups, (list, tuple))
        if not self._active() or not (odd or self._notes.guard(has_gradient, update.groups)):
            return
        update.moves = not odd
        update.under = self._under.look()
        if self._views.due(update.optimizer, self._scope.every):
            self._notes.guard(self._see_before, update, only)

    def _see_before(self, update: Update, only: Optimizer | None) -> None:
        by_hand = isinstance(update.optimizer, ByHand)  # it may turn out to be none: no label yet
        plain = update.look(None)
        update.view = None if by_hand else plain  # nothing is kept from step to step
        view = with_inside(plain, update.inside)
        again = bool(update.gradients)
        if not again and not self._views.has_stepped(update.optimizer) and not (by_hand and self._in_doubt):
            initial = param_rows(view, "config", self._fingerprint)
            update.initial = [self._initial.get(row.key, row) for row in initial]
        if self._transplant is not None and not by_hand:
            evaluations = self._micro.count if update.by_closure else None
            self._transplant.before_update(self._taken, self._views.label(update.optimizer), view, evaluations)
        gradients = grad_rows(view, self._fingerprint)
        if only is not None:
            theirs = parameters_of(only)
            fresh = {name for name, parameter in view.parameters() if id(parameter) in theirs}
            known = {row.key: row for row in update.gradients}
            gradients = [row if row.key.name in fresh else known.get(row.key, row) for row in gradients]
        update.hyper, update.texts = ([], {}) if by_hand else hyper_rows(view)
        if update.initial and not again:
            update.layouts = sparse_texts((name, view.gradient(parameter)) for name, parameter in view.parameters())
        update.gradients = gradients
        update.schedules |= self._calls.schedules([update.optimizer, *update.inside])
        self._capture.before_update([*update.inside, update.optimizer], view, again)

    def _end(self, update: Update) -> None:
        if not self._active():
            return
        if update.gradients:
            ended = self._notes.guard(self._ended, update)
            if ended is not None:
                self._notes.guard(self._write, ended)
        elif update.moves:
            self._micro.take()
            self._calls.forget()
            self._evaluations.take()
        if update.moves:
            self._taken += self._count(update)
        if not isinstance(update.optimizer, ByHand):
            self._initial = {}

    def _count(self, update: Update) -> bool:
        """Count a step that was taken; False for one of an optimizer that was never seen, which is noted elsewhere."""
        known = self._views.count(update.optimizer)
        if known:
            self._under.count(update.under)
        return known

    def _ended(self, update: Update) -> _Ended:
        booked = self._ledger.take() if self._ledger is not None else {}
        waiting = self._calls.waiting()
        view = with_inside(update.look(update.view), update.inside)
        micro = self._micro.take()
        evaluated = self._evaluations.take()
        before, behind = self._calls.take(view)
        rows = [
            *update.initial, *evaluated.rows(), *micro[0], *before, *update.gradients, *behind,
            *update.schedules.values(), *update.hyper,
            *state_rows(view, self._fingerprint), *param_rows(view, "param", self._fingerprint),
            *buffer_rows(view, self._fingerprint), *average_rows(view, self._fingerprint),
            *self._at_forward.take(update.optimizer),
        ]  # fmt: skip
        if update.initial:
            update.texts = {**update.texts, **shard_texts(view.parameters()), **update.layouts}
        if not isinstance(update.optimizer, ByHand):  # whose end is seen only when the program has gone on
            rows += self._generators.rows(-1)
        finished = self._notes.guard(self._capture.finish, update.optimizer, micro[1], view)
        return _Ended(update, self._taken, view, rows, micro, waiting, evaluated, booked, finished)

    def _write(self, ended: _Ended) -> None:
        waiting = on_device(ended.rows)
        label, writer = self._views.label(ended.update.optimizer), self._open(waiting)
        if ended.finished is not None:
            self._notes.guard(self._capture.write, writer.path, label, ended.finished)
        writer.step(
            settled_rows(ended.rows) if waiting else ended.rows,
            optimizer=label,
            micro_steps=ended.micro[1],
            step=ended.number,
            texts=ended.update.texts,
            ledger=drawn(ended.booked),
            notes=self._notes.take(),
        )
        if self._transplant is not None and ended.number == self._taken:  # else the program has gone on
            self._notes.guard(self._transplant.ended, ended.number, label, ended.view)
        if self._after_step_written is not None:
            self._after_step_written(ended.number)

    def _listening(self) -> bool:
        """Whether what happens now may belong to a step that is recorded."""
        return self._active() and self._views.any_due(self._scope.every)

    def _active(self) -> bool:
        """False in a forked child: the file is its parent's."""
        return os.getpid() == self._process

    def _open(self, on_device: bool = False) -> TraceWriter:
        if self._writer is None:
            facts = {"digests": "of the device" if on_device else "of the CPU"}
            if self._transplant is not None:
                facts["transplant"] = json.dumps(self._transplant.steps)
            self._writer = new_trace(self.path, self._scope, facts, self._process if self._shared else None)
        return self._writer
