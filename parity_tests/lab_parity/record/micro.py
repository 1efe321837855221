"""Micro-steps: which forward calls fed a backward pass, and what went in."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from lab_parity.record.by_hand import ByHand
from lab_parity.record.capture import Capture
from lab_parity.record.evaluations import Evaluations
from lab_parity.record.fingerprint import Fingerprint
from lab_parity.record.forward_calls import watch_forwards
from lab_parity.record.notes import Notes
from lab_parity.record.phases.batch import argument_rows, tensors_in
from lab_parity.record.phases.ema import AtForward, Looked
from lab_parity.record.phases.loss import loss_rows
from lab_parity.record.phases.reduce import Facts, wrapper_facts, wrapper_rows
from lab_parity.record.phases.rng import Generators
from lab_parity.record.uncompiled import Uncompiled, is_rehearsed, is_traced
from lab_parity.record.walk import is_wrapper
from lab_parity.record.window import KeptForward
from lab_parity.trace import Key, Row

__all__ = ["MicroSteps"]

_MAX_WAITING = 64
"""Forward calls that no backward pass has reached yet and that are remembered; an evaluation makes thousands."""


@attrs.define(slots=True, eq=False)
class _Forward:
    """One outermost forward call: digests only, so that it holds no graph, and no tensor but of a captured step."""

    seen: list[Row]
    rng: list[Row]
    averages: Looked
    kept: KeptForward | None = None
    wrapper: Facts = ()
    reached: bool = False
    watched: bool = False

    def mark(self, _gradients: Any) -> None:
        """Backward came through here: this call was training, not evaluation."""
        self.reached = True


class MicroSteps:
    """Collects rows for each backward pass until the optimizer's step takes them.

    A forward call counts when backward passes through its output, so that an evaluation between steps (with or
    without no_grad) is left out, and a generator's output that two losses share counts for the first. Calls without a
    graph go to `evaluations`.
    `differentiated` is called behind each backward pass.
    """

    def __init__(
        self,
        notes: Notes,
        generators: Generators,
        fingerprint: Fingerprint,
        capture: Capture,
        by_hand: ByHand,
        evaluations: Evaluations,
        active: Callable[[], bool],
        averages: AtForward,
        differentiated: Callable[[], None],
    ) -> None:
        self._fingerprint = fingerprint
        self._notes = notes
        self._capture = capture
        self._by_hand = by_hand
        self._evaluations = evaluations
        self._active = active
        self._averages, self._differentiated = averages, differentiated
        self._generators = generators
        self._rows: list[Row] = []
        self._penalties: list[Row] = []
        self._count = 0
        self._forwards: list[_Forward] = []
        self._outermost: nn.Module | None = None
        self._entered: _Forward | None = None
        self._wrapper: Facts = ()
        self._in_backward = False
        self._at_once: Looked = {}

    def watch(self) -> list[Callable[[], None]]:
        """Put the hooks in place; returns what takes them away."""
        forwards = watch_forwards(self._before_forward, self._after_forward)
        return [forwards, _quiet(), self._watch_backward(), self._watch_gradients()]

    @property
    def count(self) -> int:
        """The micro-steps since the last step."""
        return self._count

    def take(self) -> tuple[list[Row], int]:
        """The rows and the number of micro-steps since the last call."""
        rows, count = self._rows, self._count
        self._rows, self._penalties, self._count = [], [], 0
        return rows, count

    def give_back(self, rows: list[Row], count: int) -> None:
        """What was taken belongs to the step that is still to come."""
        later = [row._replace(key=row.key._replace(micro=row.key.micro + count)) for row in self._rows]
        self._rows, self._count = [*rows, *later], self._count + count

    def _before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        # This runs for every submodule.
        if self._outermost is not None:
            return
        without_graph = not torch.is_grad_enabled()
        if self._in_backward or (without_graph and self._evaluations.inside) or not self._active():
            return
        if is_rehearsed():
            return
        if without_graph:
            if not _passes_through(module):
                self._evaluations.enter(module)
            return
        if _passes_through(module):
            self._wrapper = wrapper_facts(module) or self._wrapper
            return
        self._outermost = module
        self._entered = self._notes.guard(self._enter, module, args)

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> _Forward:
        self._by_hand.settle()
        rows = self._generators.rows(self._count)
        wrapper, self._wrapper = self._wrapper, ()
        averages = self._averages.look()
        kept = self._capture.enter(module, args)
        return _Forward(argument_rows(args, self._fingerprint), rows, averages, kept, wrapper)

    def _after_forward(self, module: nn.Module, args: Any, *rest: Any) -> None:
        # torch forgets the keyword arguments where the call has raised.
        kwargs, result = rest if len(rest) == 2 else ({}, None)
        if module is not self._outermost:
            self._evaluations.leave(module, args, kwargs, result)
            return
        forward, self._outermost, self._entered = self._entered, None, None
        if forward is not None and torch.is_grad_enabled():
            self._notes.guard(self._leave, forward, kwargs, result)

    def _leave(self, forward: _Forward, kwargs: Mapping[str, Any], result: Any) -> None:
        forward.seen += argument_rows(kwargs, self._fingerprint)
        self._capture.leave(forward.kept, kwargs)
        for _, tensor in tensors_in(result):
            if tensor.grad_fn is not None:
                tensor.grad_fn.register_prehook(forward.mark)
                forward.watched = True
        if not forward.watched:
            return  # nothing to differentiate: no training
        if len(self._forwards) == _MAX_WAITING:
            del self._forwards[0]
        self._forwards.append(forward)

    def _watch_backward(self) -> Callable[[], None]:
        original = torch.autograd.backward

        @functools.wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            if self._in_backward or not self._active() or is_traced():
                original(tensors, *args, **kwargs)
                return
            with Uncompiled():
                rng, loss = self._begin(tensors)
            self._in_backward = True
            try:
                original(tensors, *args, **kwargs)
            finally:
                self._in_backward = False
            with Uncompiled():
                self._end(rng, loss)
            self._notes.guard(self._by_hand.after_backward, tensors)
            self._notes.guard(self._differentiated)

        torch.autograd.backward = backward

        def stop() -> None:
            torch.autograd.backward = original

        return stop

    def _watch_gradients(self) -> Callable[[], None]:
        """`torch.autograd.grad` of parameters is a backward pass; of anything else it makes activations of them."""
        original = torch.autograd.grad

        @functools.wraps(original)
        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            if self._in_backward or not self._active() or is_traced():
                return original(outputs, inputs, *args, **kwargs)
            # An edge of the graph is a tuple, too.
            leaves: list[Any] = [inputs] if isinstance(inputs, (Tensor, GradientEdge)) else list(inputs)
            training = any(isinstance(leaf, nn.Parameter) for leaf in leaves)
            with Uncompiled():
                rng, loss = self._begin(outputs) if training else ([], [])
            self._in_backward = True
            try:
                found = original(outputs, leaves, *args, **kwargs)
            finally:
                self._in_backward = False
            if training:
                with Uncompiled():
                    self._end(rng, loss)
                self._notes.guard(self._by_hand.after_gradients, leaves, found)
            else:
                self._notes.guard(self._given, found)
            return found

        torch.autograd.grad = grad

        def stop() -> None:
            torch.autograd.grad = original

        return stop

    def _begin(self, outputs: Any) -> tuple[list[Row], list[Row]]:
        """A backward pass begins from `outputs`: the generators' states, and the losses."""
        self._notes.guard(self._by_hand.settle)
        loss = self._notes.guard(loss_rows, self._count, outputs, self._fingerprint) or []
        rng = self._notes.guard(self._generators.rows, self._count) or []
        self._notes.guard(self._capture.before_backward, self._count, outputs)
        if not self._forwards:  # by functions alone, it may be
            self._at_once = self._notes.guard(self._averages.look) or {}
        return rng, loss

    def _given(self, gradients: Sequence[Tensor | None]) -> None:
        """A penalty's gradients, which the loss is made of."""
        for place, gradient in enumerate(gradients):
            if gradient is not None:
                key = Key("forward", -1, f"autograd.grad {len(self._penalties)} result {place}", "")
                self._penalties.append(self._fingerprint(key, gradient))

    def _end(self, rng: list[Row], loss: list[Row]) -> None:
        """Generator states are those before the first forward call; without one, those before backward."""
        number = self._count
        trained = [forward for forward in self._forwards if forward.reached]
        self._forwards = [forward for forward in self._forwards if not forward.reached]
        if trained:
            rng = [row._replace(key=row.key._replace(micro=number)) for row in trained[0].rng]
        self._averages.began_with(trained[0].averages if trained else self._at_once)
        self._at_once = {}
        self._rows += rng
        for place, forward in enumerate(trained):
            for row in forward.seen:
                self._rows.append(row._replace(key=Key(row.key.phase, number, f"call {place} {row.key.name}", "")))
        self._rows += [row._replace(key=row.key._replace(micro=number)) for row in self._penalties]
        self._penalties = []
        self._rows += loss
        facts = next((forward.wrapper for forward in trained if forward.wrapper), ())
        self._rows += wrapper_rows(number, facts)
        self._notes.guard(self._capture.after_backward, number, [forward.kept for forward in trained])
        self._count += 1


def _quiet() -> Callable[[], None]:
    """torch.compile warns that hooks see its wrapper, too: these pass it over, and the program has none of its own."""
    warnings.filterwarnings("ignore", "Using `torch.compile.module.` when there are global hooks", UserWarning)
    added = warnings.filters[0]

    def stop() -> None:
        with suppress(ValueError):  # where the program has put the filters back itself
            warnings.filters.remove(added)  # type: ignore[attr-defined]

    return stop


def _passes_through(module: nn.Module) -> bool:
    """A wrapper, or a training framework's shell around the model: its arguments are not the model's."""
    kind = type(module).__name__
    if kind == "OptimizedModule":  # what it has compiled calls no hooks
        return False
    return is_wrapper(module) or (
        any(cls.__name__ == "LightningModule" for cls in type(module).__mro__)
        # By its own forward it is the model; Lightning puts a step in place of that to have a wrapper call it.
        and getattr(module.forward, "__func__", None) is not type(module).forward
    )
