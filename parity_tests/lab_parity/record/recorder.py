"""The recorder: torch's own hooks in, rows of a trace out."""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.optim import Optimizer
from torch.optim import optimizer as torch_optimizer

from lab_parity.environment import describe_environment
from lab_parity.errors import SiteError
from lab_parity.record.naming import Names, is_wrapper
from lab_parity.record.phases.batch import Seen, argument_digests, tensors_in
from lab_parity.record.phases.buffer import buffer_rows
from lab_parity.record.phases.grad import grad_rows
from lab_parity.record.phases.hyper import hyper_rows
from lab_parity.record.phases.loss import loss_rows
from lab_parity.record.phases.param import param_rows
from lab_parity.record.phases.rng import rng_rows
from lab_parity.record.phases.state import state_rows
from lab_parity.record.sites import UpdateSite, watch
from lab_parity.record.view import Group, OptimizerView
from lab_parity.trace import End, Key, Row, TraceWriter

__all__ = ["Recorder"]

_MAX_WAITING = 64
"""Forward calls without a backward pass that are remembered; an evaluation makes thousands."""


@attrs.define(slots=True, eq=False)
class _Forward:
    """One outermost forward call: digests only, so that it holds no tensor and no graph."""

    seen: Seen
    rng: list[Row]
    reached: bool = False
    watched: bool = False

    def mark(self, _gradients: Any) -> None:
        """Backward came through here: this call was training, not evaluation."""
        self.reached = True


@attrs.define(slots=True, eq=False)
class _Update:
    """An update under way; `inner` when a home-grown one inside it has been recorded in its place."""

    view: OptimizerView | None = None
    rows: list[Row] = attrs.field(factory=list)
    first: list[Row] = attrs.field(factory=list)
    texts: dict[bytes, str] = attrs.field(factory=dict)
    inner: bool = False


class Recorder:
    """Records a run from `start()` to `stop(end)`. The file is made at the first step, or at the stop."""

    def __init__(self, path: Path, sites: Sequence[UpdateSite] = ()) -> None:
        self.path = path
        self._sites = sites
        self._writer: TraceWriter | None = None
        self._names = Names()
        self._undo: list[Callable[[], None]] = []
        self._process = os.getpid()
        self._micro: list[Row] = []
        self._micro_steps = 0
        self._forwards: list[_Forward] = []
        self._outermost: nn.Module | None = None
        self._current: _Forward | None = None
        self._in_backward = False
        self._updates: list[_Update] = []
        self._labels: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._roots: dict[str, list[nn.Module]] = {}
        self._notes: list[str] = []
        self._started: set[str] = set()

    def start(self) -> None:
        """Put the hooks in place."""
        handles = [
            torch_module.register_module_forward_pre_hook(self._before_forward),
            torch_module.register_module_forward_hook(self._after_forward, with_kwargs=True, always_call=True),
            torch_optimizer.register_optimizer_step_pre_hook(self._before_step),
            torch_optimizer.register_optimizer_step_post_hook(self._after_step),
        ]
        self._undo += [handle.remove for handle in handles]
        self._undo += [self._watch_backward(), watch(self._sites, self)]

    def stop(self, end: End) -> None:
        """Take the hooks away and write the end; a no-op in a forked child, whose file this is not."""
        for action in reversed(self._undo):
            action()
        self._undo.clear()
        if os.getpid() == self._process:
            self._open().close(end)

    def before_update(self, site: UpdateSite, optimizer: Any) -> None:
        """A home-grown update begins. One inside a torch optimizer's step is recorded in its place."""
        for update in self._updates:
            update.inner = True
        update = _Update(self._view_site(site, optimizer))
        self._updates.append(update)
        self._see_before(update, self._label(optimizer))

    def after_update(self, site: UpdateSite, optimizer: Any) -> None:
        """A home-grown update has ended."""
        update = self._updates.pop()
        if not update.inner:
            self._write(update, self._view_site(site, optimizer), self._label(optimizer))

    def _open(self) -> TraceWriter:
        if self._writer is None:
            self._writer = TraceWriter(self.path, describe_environment())
        return self._writer

    def _active(self) -> bool:
        return os.getpid() == self._process

    # Forward calls ------------------------------------------------------------------------------------

    def _before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self._outermost is not None or torch.compiler.is_compiling():
            return
        if self._in_backward or not torch.is_grad_enabled() or _passes_through(module) or not self._active():
            return
        self._outermost = module
        self._current = _Forward(argument_digests(args, {}), [] if self._forwards else rng_rows(self._micro_steps))

    def _after_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        if module is not self._outermost or torch.compiler.is_compiling():
            return
        forward, self._outermost, self._current = self._current, None, None
        if forward is None or not torch.is_grad_enabled():
            return
        forward.seen += argument_digests((), kwargs)
        for _, tensor in tensors_in(result):
            if tensor.grad_fn is not None:
                tensor.grad_fn.register_prehook(forward.mark)
                forward.watched = True
        if len(self._forwards) < _MAX_WAITING:
            self._forwards.append(forward)

    # Backward -----------------------------------------------------------------------------------------

    def _watch_backward(self) -> Callable[[], None]:
        original = torch.autograd.backward

        @functools.wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            if self._in_backward or not self._active():
                return original(tensors, *args, **kwargs)
            loss = loss_rows(self._micro_steps, tensors)
            waiting_rng = [] if self._forwards else rng_rows(self._micro_steps)
            self._in_backward = True
            try:
                original(tensors, *args, **kwargs)
            finally:
                self._in_backward = False
            self._end_micro_step(waiting_rng, loss)

        torch.autograd.backward = backward

        def stop() -> None:
            torch.autograd.backward = original

        return stop

    def _end_micro_step(self, rng: list[Row], loss: list[Row]) -> None:
        number = self._micro_steps
        trained = [forward for forward in self._forwards if forward.reached or not forward.watched]
        self._forwards = [forward for forward in self._forwards if forward not in trained]
        for forward in trained[:1]:
            rng = [row._replace(key=row.key._replace(micro=number)) for row in forward.rng]
        self._micro += rng
        for place, forward in enumerate(trained):
            self._micro += [
                Row(Key(phase, number, f"call.{place}", where), digest, value)
                for phase, where, digest, value in forward.seen
            ]
        self._micro += loss
        self._micro_steps += 1

    # Updates ------------------------------------------------------------------------------------------

    def _before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if not self._active():
            return None
        inner = any(update.view is not None and not update.inner for update in self._updates)
        update = _Update()
        if inner:  # part of a larger update, which is recorded as a whole
            update.inner = True
            self._updates.append(update)
            return None
        self._updates.append(update)
        # (self, closure) or (self, closure=...): the gradients come to be inside the closure.
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if not callable(closure):
            update.view = None
            self._see_before(update, self._label(optimizer), self._view_torch(optimizer))
            return None

        def recorded() -> Any:
            result = closure()
            if not update.inner:
                self._see_before(update, self._label(optimizer), self._view_torch(optimizer))
            return result

        if "closure" in kwargs:
            return args, {**kwargs, "closure": recorded}
        return (args[0], recorded, *args[2:]), kwargs

    def _after_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self._active() or not self._updates:
            return
        update = self._updates.pop()
        if not update.inner and update.rows:
            self._write(update, self._view_torch(optimizer), self._label(optimizer))

    def _see_before(self, update: _Update, label: str, view: OptimizerView | None = None) -> None:
        view = view or update.view
        if view is None or not any(tensor.grad is not None for _, tensor in view.parameters()):
            update.rows = []  # an update without a single gradient changes nothing: no step
            return
        first = [] if label in self._started else param_rows(view, "config")
        hyper, update.texts = hyper_rows(view)
        update.rows = [*grad_rows(view), *hyper]
        if first or label not in self._started:
            update.first = first

    def _write(self, update: _Update, view: OptimizerView, label: str) -> None:
        if not update.rows or not self._active():
            return
        self._started.add(label)
        rows = [
            *update.first, *self._micro, *update.rows,
            *state_rows(view), *param_rows(view, "param"), *buffer_rows(view), *rng_rows(-1),
        ]  # fmt: skip
        self._open().step(rows, optimizer=label, micro_steps=self._micro_steps, texts=update.texts, notes=self._notes)
        self._micro, self._micro_steps, self._notes = [], 0, []

    def _label(self, optimizer: Any) -> str:
        label = self._labels.get(optimizer)
        if label is None:
            label = self._labels[optimizer] = f"opt{len(self._labels)}"
        return label

    def _view_torch(self, optimizer: Optimizer) -> OptimizerView:
        return self._view(self._label(optimizer), optimizer.param_groups, optimizer.state)

    def _view_site(self, site: UpdateSite, optimizer: Any) -> OptimizerView:
        groups = getattr(optimizer, site.groups, None)
        if not isinstance(groups, (list, tuple)) or not all(isinstance(group, dict) for group in groups):
            raise SiteError(
                f"update site {site.target}: {type(optimizer).__name__}.{site.groups} is "
                f"{type(groups).__name__}, expected a list of dicts with 'params'"
            )
        slots = (getattr(optimizer, site.slots, None) if site.slots else None) or {}
        return self._view(self._label(optimizer), groups, slots)

    def _view(self, label: str, groups: Sequence[Mapping[str, Any]], state: Mapping[Any, Any]) -> OptimizerView:
        made = []
        slots: dict[str, Mapping[str, Any]] = {}
        for group in groups:
            tensors = [tensor for tensor in _tensors(group["params"])]
            given = list(group.get("names", ()))
            names = self._names.resolve(tensors, given)
            made.append(Group(names, tensors, group))
            for position, (name, tensor) in enumerate(zip(names, tensors, strict=True)):
                entry = state.get(tensor)
                if entry is None and position < len(given):
                    entry = state.get(given[position])
                if isinstance(entry, Mapping):
                    slots[name] = entry
        if label not in self._roots:
            self._roots[label] = self._names.roots(tensor for group in made for tensor in group.tensors)
        return OptimizerView(made, slots, self._roots[label])


def _tensors(params: Any) -> Iterable[Tensor]:
    return [params] if isinstance(params, Tensor) else list(params)


def _passes_through(module: nn.Module) -> bool:
    """A wrapper, or a training framework's shell around the model: its arguments are not the model's."""
    return is_wrapper(module) or any(cls.__name__ == "LightningModule" for cls in type(module).__mro__)
