"""The recorder: torch's own hooks in, steps of a trace out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim import optimizer as torch_optimizer

from lab_parity.environment import describe_environment
from lab_parity.errors import ParityError
from lab_parity.ranks import process_path, rank_path
from lab_parity.record.around import steps_around
from lab_parity.record.by_hand import ByHand
from lab_parity.record.calls import Calls
from lab_parity.record.capture import Capture
from lab_parity.record.fingerprint import fingerprint_for, on_device, settled_rows
from lab_parity.record.ledger import Ledger
from lab_parity.record.micro import MicroSteps
from lab_parity.record.notes import Notes
from lab_parity.record.phases.buffer import buffer_rows
from lab_parity.record.phases.ema import average_rows, watch_averages
from lab_parity.record.phases.grad import grad_rows
from lab_parity.record.phases.hyper import hyper_rows
from lab_parity.record.phases.param import param_rows
from lab_parity.record.phases.rng import Generators
from lab_parity.record.phases.state import state_rows
from lab_parity.record.sites import UpdateSite, watch
from lab_parity.record.transplant import Transplant
from lab_parity.record.under import Under
from lab_parity.record.view import OptimizerView, Views
from lab_parity.trace import End, Row, Scope
from lab_parity.trace_writer import TraceWriter

__all__ = ["Recorder"]

_Look = Callable[[OptimizerView | None], OptimizerView]
"""Looks at an optimizer, given how it looked a moment ago."""


@attrs.define(slots=True, eq=False)
class _Update:
    """An update under way; `replaced` when one inside or around it counts in its place, `moves` when it is a step,
    `within` how many calls of the parent classes' steps it is in."""

    optimizer: Any
    replaced: bool = False
    within: int = 0
    moves: bool = False
    under: frozenset[str] = frozenset()
    view: OptimizerView | None = None
    rows: list[Row] = attrs.field(factory=list)
    texts: dict[bytes, str] = attrs.field(factory=dict)


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
        self._sites = sites
        self._shared = shared
        self._after_step_written = after_step
        self._transplant = transplant
        self._process = os.getpid()
        self._writer: TraceWriter | None = None
        self._notes = Notes()
        self._views = Views()
        self._generators = Generators(self._scope.every)
        self._fingerprint = fingerprint_for(self._scope)
        self._taken = 0
        self._under = Under()
        self._capture = Capture(capture, states, lambda: self._taken, self._generators.states)
        self._by_hand = ByHand(self._see_by_hand, self._write_by_hand)
        self._seen_by_hand: _Update | None = None
        self._micro = MicroSteps(
            self._notes, self._generators, self._fingerprint, self._capture, self._by_hand, self._listening
        )
        self._calls = Calls(self._notes, self._listening, self._by_hand.look_again)
        self._ledger = Ledger(self._notes, lambda: self._micro.count) if self._scope.ledger else None
        self._updates: list[_Update] = []
        self._undo: list[Callable[[], None]] = []

    @property
    def steps(self) -> int:
        """Steps written so far."""
        return self._writer.steps if self._writer is not None else 0

    def start(self) -> None:
        """Put the hooks in place. Raises SiteError when an imported module lacks its site's method."""
        self._undo.append(watch(self._sites, self))
        self._undo += [*self._generators.watch(), *self._micro.watch(), *self._capture.watch(), *self._calls.watch()]
        averaging = self._views.averaging
        self._undo.append(watch_averages(lambda average, trained: self._notes.guard(averaging, average, trained)))
        if self._ledger is not None:
            self._undo += self._ledger.watch()
            self._notes.around = torch._C.DisableTorchFunction  # the recorder's own calls are of no interest
        self._undo.append(torch_optimizer.register_optimizer_step_pre_hook(self._before_step).remove)
        self._undo.append(torch_optimizer.register_optimizer_step_post_hook(self._after_step).remove)

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
            self._notes.guard(self._by_hand.settle)
            under, first = self._under.steps, self._under.first
            end = attrs.evolve(end, notes=tuple(self._notes.take()), taken=self._taken, under=under, first=first)
            self._open().close(end)

    def before_update(self, site: UpdateSite, optimizer: Any) -> None:
        """A home-grown update begins; it is recorded in place of a torch step around it, which knows less."""
        for outer in self._updates:
            outer.replaced = True
        update = self._enter(optimizer)
        self._see(
            update, getattr(optimizer, site.groups, None), lambda seen: self._views.of_site(site, optimizer, seen)
        )

    def after_update(self, site: UpdateSite, optimizer: Any) -> None:
        """A home-grown update has ended."""
        self._leave(optimizer, lambda seen: self._views.of_site(site, optimizer, seen))

    def _before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        outer = next((update for update in self._updates if update.optimizer is optimizer), None)
        if outer is not None and steps_around(optimizer) > 1:
            outer.within += 1  # `super().step()`
            return None
        around = any(not isinstance(outer.optimizer, Optimizer) for outer in self._updates)
        update = self._enter(optimizer)
        if around:  # a part of a home-grown update, which is recorded as a whole
            update.replaced = True
            return None

        def see() -> None:
            self._see(update, optimizer.param_groups, lambda seen: self._views.of_torch(optimizer, seen))

        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if not callable(closure):
            see()
            return None

        def closure_then_look() -> Any:
            # Gradients come to be inside the closure; the last call's are those of the update.
            result = closure()
            see()
            return result

        if "closure" in kwargs:
            return args, {**kwargs, "closure": closure_then_look}
        return (args[0], closure_then_look, *args[2:]), kwargs

    def _after_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for update in self._updates:
            if update.optimizer is optimizer and update.within:
                update.within -= 1
                return
        self._leave(optimizer, lambda seen: self._views.of_torch(optimizer, seen))

    def _see_by_hand(self, by_hand: ByHand) -> None:
        if not self._updates:  # else it is a closure's
            self._seen_by_hand = _Update(by_hand)
            self._see(self._seen_by_hand, by_hand.groups, lambda seen: self._views.by_hand(by_hand, seen))

    def _write_by_hand(self, by_hand: ByHand) -> None:
        update, self._seen_by_hand = self._seen_by_hand, None
        if update is not None and not self._updates:
            self._finish(update, lambda seen: self._views.by_hand(by_hand, seen))

    def _enter(self, optimizer: Any) -> _Update:
        self._by_hand.give_way()
        self._seen_by_hand = None
        for place, outer in enumerate(self._updates):
            if outer.optimizer is optimizer:  # an exception left it open
                del self._updates[place:]
                break
        update = _Update(optimizer)
        self._updates.append(update)
        return update

    def _leave(self, optimizer: Any, view: _Look) -> None:
        while self._updates:
            update = self._updates.pop()
            if update.optimizer is optimizer:
                break
        else:
            return
        if not update.replaced and self._active():
            self._finish(update, view)

    def _finish(self, update: _Update, view: _Look) -> None:
        if update.rows:
            self._notes.guard(lambda: self._write(update, view(update.view)))
        elif update.moves:
            self._micro.take()
            self._calls.forget()
        if update.moves and self._views.count(update.optimizer):
            self._taken += 1
            self._under.count(update.under)

    def _see(self, update: _Update, groups: Any, view: _Look) -> None:
        # An update without a single gradient changes nothing: it is no step. A view of odd groups says what is odd.
        odd = not isinstance(groups, (list, tuple))
        if update.replaced or not (odd or self._notes.guard(_has_gradient, groups)):
            return
        update.moves = not odd
        update.under = self._under.look()
        if self._views.due(update.optimizer, self._scope.every):
            self._notes.guard(lambda: self._see_before(update, view(None)))

    def _see_before(self, update: _Update, view: OptimizerView) -> None:
        update.view = None if isinstance(update.optimizer, ByHand) else view  # nothing is kept from step to step
        initial = [] if self._views.has_stepped(update.optimizer) else param_rows(view, "config", self._fingerprint)
        by_hand = isinstance(update.optimizer, ByHand)  # it may turn out to be none: no label yet
        if self._transplant is not None and not by_hand:
            self._transplant.before_update(self._taken, self._views.label(update.optimizer), view)
        hyper, update.texts = ([], {}) if by_hand else hyper_rows(view)
        kept = [row for row in update.rows if row.key.phase == "config"]  # a closure that is called twice
        update.rows = [*(kept or initial), *grad_rows(view, self._fingerprint), *hyper]
        self._capture.before_update(view)

    def _write(self, update: _Update, view: OptimizerView) -> None:
        drawn = self._ledger.take() if self._ledger is not None else ()
        micro, count = self._micro.take()
        before, behind = self._calls.take(update.optimizer, view)
        phases = [row.key.phase for row in update.rows]
        config, grad = phases.count("config"), phases.count("grad")  # in that order, and the hyperparameters behind
        rows = [
            *update.rows[:config], *micro, *before, *update.rows[config : config + grad], *behind,
            *update.rows[config + grad :],
            *state_rows(view, self._fingerprint), *param_rows(view, "param", self._fingerprint),
            *buffer_rows(view, self._fingerprint), *average_rows(view, self._fingerprint),
        ]  # fmt: skip
        if not isinstance(update.optimizer, ByHand):  # whose end is seen only when the program has gone on
            rows += self._generators.rows(-1)
        waiting = on_device(rows)
        label, writer = self._views.label(update.optimizer), self._open(waiting)
        self._notes.guard(self._capture.after_update, writer.path, label, update.optimizer, count, view)
        writer.step(
            settled_rows(rows) if waiting else rows,
            optimizer=label,
            micro_steps=count,
            step=self._taken,
            texts=update.texts,
            ledger=drawn,
            notes=self._notes.take(),
        )
        if self._transplant is not None:
            self._notes.guard(self._transplant.ended, self._taken, label, view)
        if self._after_step_written is not None:
            self._after_step_written(self._taken)

    def _listening(self) -> bool:
        """Whether what happens now may belong to a step that is recorded."""
        return self._active() and self._views.any_due(self._scope.every)

    def _active(self) -> bool:
        """False in a forked child: the file is its parent's."""
        return os.getpid() == self._process

    def _open(self, on_device: bool = False) -> TraceWriter:
        if self._writer is None:
            rank, world = _rank_and_world()
            path, facts = (
                rank_path(self.path, rank),
                {
                    **describe_environment(),
                    "ranks": str(world),
                    "digests": "of the device" if on_device else "of the CPU",
                    **({"transplant": json.dumps(self._transplant.steps)} if self._transplant is not None else {}),
                },
            )
            try:
                self._writer = TraceWriter(path, facts, self._scope)
            except FileExistsError:
                if not self._shared:
                    raise
                path = process_path(path, self._process)
                self._writer = TraceWriter(path, facts, self._scope)
        return self._writer


def _has_gradient(groups: Sequence[Mapping[str, Any]]) -> bool:
    for group in groups:
        params = group["params"]
        if group.get("gradients") or any(
            tensor.grad is not None for tensor in ([params] if isinstance(params, Tensor) else params)
        ):
            return True
    return False


def _rank_and_world() -> tuple[int, int]:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    return (int(os.environ.get("RANK", "0")), world) if world > 1 else (0, 1)
