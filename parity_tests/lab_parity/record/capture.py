"""Full tensors of chosen steps, collected while the recorder looks on, written when the step has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from lab_parity.record.by_hand import leaves_of
from lab_parity.record.capture_file import (
    CapturedStep,
    Key5,
    ModuleFacts,
    capture_path,
    kind_of,
    state_path,
    write_capture,
)
from lab_parity.record.forward_calls import watch_forwards
from lab_parity.record.held import held_numbers
from lab_parity.record.layout import layout_of
from lab_parity.record.modes import facts_beside
from lab_parity.record.phases.batch import tensors_in
from lab_parity.record.phases.ema import averages
from lab_parity.record.phases.hyper import hyper_rows
from lab_parity.record.view import OptimizerView
from lab_parity.record.walk import buffers, modules
from lab_parity.record.window import Call, Finished, KeptForward, Window, clone, same_values

__all__ = ["Capture"]


class Capture:
    """Collects the tensors of the steps in `steps`, and of those in `states` what they leave behind.

    `current` says which step is under way. Everything is cloned at once, so that later changes in place do not show.
    Costs nothing where both are empty.
    """

    def __init__(
        self,
        steps: Collection[int],
        states: Collection[int],
        current: Callable[[], int],
        generators: Callable[[], dict[str, Tensor]],
    ) -> None:
        self._steps = frozenset(steps)
        self._kept = frozenset(states) - self._steps
        self._current = current
        self._states = generators
        self._open: KeptForward | None = None
        self._leaves: dict[int, Tensor] = {}
        self._window = Window()
        self._in_doubt = 0

    @property
    def wanted(self) -> bool:
        """Whether the step under way is to be captured; or the one before, where it is in doubt whether that ended."""
        return any(self._current() - back in self._steps for back in range(1 + self._in_doubt))

    @property
    def _soon(self) -> bool:
        """Whether what is called now may belong to a step that is to be captured."""
        now = self._current() if self._steps else 0
        return any(now - self._in_doubt <= step <= now + 2 for step in self._steps)

    def watch(self) -> list[Callable[[], None]]:
        """Put the hook in place that sees every module's output; returns what takes it away."""
        if not self._steps:
            return []
        return [watch_forwards(None, self._after_module)]

    def enter(self, module: nn.Module, args: Any) -> KeptForward | None:
        """An outermost forward call begins."""
        # A forward call may be differentiated in a later optimizer's step (a GAN's): begin early.
        self._open = None
        if not self._soon:
            return None
        # torch.func.functional_call puts other tensors in the parameters' places, which have no gradient of their own.
        self._leaves |= {id(parameter): parameter for parameter in module.parameters() if parameter.is_leaf}
        self._open = KeptForward(self._states(), buffers={id(buffer): clone(buffer) for _, buffer in buffers(module)})
        self._window.modes.append(self._open.modes)
        for part in module.modules():
            if id(part) not in self._window.held:
                self._window.held[id(part)] = held_numbers(part)
        self._arguments(self._open, args)
        return self._open

    def leave(self, kept: KeptForward | None, kwargs: Any) -> None:
        """That call has ended."""
        self._open = None
        if kept is not None:
            self._arguments(kept, kwargs)

    def before_backward(self, micro: int, roots: Any) -> None:
        """A backward pass begins at `roots`."""
        if not self.wanted:
            return
        listed = [roots] if isinstance(roots, Tensor) else list(roots)
        for number, root in enumerate(listed):
            if isinstance(root, Tensor):
                name = "loss" if len(listed) == 1 else f"loss.{number}"
                self._window.tensors[Key5("loss", micro, name, "", "after")] = clone(root)
        # What a program calls without its modules (functional_call, F.linear) is reached as well.
        self._leaves |= {id(leaf): leaf for leaf in leaves_of(roots)}
        self._window.states_at_backward = self._states()
        self._see_gradients(micro, "before")
        for number, leaf in self._leaves.items():
            if not same_values(self._window.values.setdefault(number, leaf_now := clone(leaf)), leaf_now):
                self._window.moved[micro, number] = leaf_now

    def after_backward(self, micro: int, trained: list[KeptForward | None]) -> None:
        """That pass has ended; `trained` are the forward calls that it went through."""
        if not self.wanted:
            return
        self._see_gradients(micro, "after")
        kept = [forward for forward in trained if forward is not None]
        for forward in kept:
            forward.modes.trained = True
            self._window.buffers = forward.buffers | self._window.buffers
        for name, state in (kept[0].states if kept else self._window.states_at_backward).items():
            self._window.tensors[Key5("rng", micro, name, "state", "before")] = state
        for place, forward in enumerate(kept):
            for phase, where, tensor in forward.arguments:
                self._window.tensors[Key5(phase, micro, f"call {place} argument {where}", "", "before")] = tensor
            self._window.calls += [(micro, call) for call in forward.calls]

    def before_update(self, optimizers: Sequence[Any], view: OptimizerView, again: bool) -> None:
        """The optimizer, the last one of `optimizers` with those inside before it, is about to change the parameters.

        `again`: it may have been about to do so once before in this step; then other gradients are known now.
        """
        if self.wanted:
            before = self._window.before if again else _update_tensors(view, "before")
            self._window.before = {key: tensor for key, tensor in before.items() if key.phase != "grad"}
            self._window.before |= _gradients(view)
            rows, texts = hyper_rows(view)
            self._window.sparse = [name for name, tensor in _found(view) if layout_of(tensor) == "sparse"]
            if not again:
                self._window.held[None] = held_numbers(*optimizers)
            self._window.hyper = {row.key.name: json.loads(texts[row.digest]) for row in rows}

    def finish(self, optimizer: Any, micro_steps: int, view: OptimizerView) -> Finished:
        """The update has ended, and with it the step."""
        captured, window = None, self._window
        if self._current() in self._steps:
            captured = self._captured(kind_of(optimizer), micro_steps, view)
        elif self._current() in self._kept:
            captured = CapturedStep(
                self._current(), "", kind_of(optimizer), micro_steps, {}, (), self._left_behind(view)
            )
        if self._steps:
            own = set(map(id, view.tensors))
            left = window.gradients if micro_steps else window.earlier
            self._window = Window(earlier={key: gradient for key, gradient in left.items() if key[1] not in own})
            if self._current() >= max(self._steps):
                self._leaves = {}
        return Finished(window, captured)

    def doubt(self, in_doubt: bool) -> None:
        """Whether the step that ended last may have been none."""
        self._in_doubt = int(in_doubt)

    def give_back(self, finished: Finished, micro_steps: int) -> None:
        """That step is still to end, after further backward passes."""
        later, self._window = self._window, finished.window
        self._window.goes_on(later, micro_steps)

    def write(self, trace: Path, label: str, finished: Finished) -> None:
        """Write a finished step beside the trace."""
        if finished.captured is not None:
            step = finished.captured.step
            path = capture_path(trace, step) if step in self._steps else state_path(trace, step)
            write_capture(path, attrs.evolve(finished.captured, optimizer=label))

    def _captured(self, kind: str, micro_steps: int, view: OptimizerView) -> CapturedStep:
        names = {id(tensor): name for name, tensor in view.parameters()}
        window = self._window
        tensors = window.tensors | window.before
        for (micro, leaf, moment), gradient in (window.gradients if micro_steps else window.earlier).items():
            if leaf in names:
                tensors[Key5("grad", micro, names[leaf], "", moment)] = gradient
        for (micro, leaf), value in window.moved.items():
            if leaf in names:
                tensors[Key5("param", micro, names[leaf], "", "before")] = value
        for name, buffer in view.buffers():
            if id(buffer) in window.buffers:
                tensors[Key5("buffer", -1, name, "", "before")] = window.buffers[id(buffer)]
        tensors |= self._left_behind(view)
        named = [
            ((prefix + path).removesuffix("."), module)
            for prefix, root in zip(view.prefixes, view.roots, strict=True)
            for path, module in modules(root)
        ]
        paths = {id(module): name for name, module in named}
        outputs, facts = _name_calls(window.calls, paths, window.held)
        called = {module.name for module in facts}
        facts += [
            _facts(name, module, held=window.held.get(id(module), "{}"))
            for name, module in named
            if module._buffers and name not in called
        ]
        facts += facts_beside(window.modes, paths, window.held)
        return CapturedStep(
            self._current(), "", kind, micro_steps, window.hyper, facts, tensors | outputs,
            held=window.held.get(None, "{}"), sparse=window.sparse, calls=list(_in_order(outputs)),
        )  # fmt: skip

    def _left_behind(self, view: OptimizerView) -> dict[Key5, Tensor]:
        """What a run needs to go on from here."""
        tensors = {Key5("buffer", -1, name, "", "after"): clone(buffer) for name, buffer in view.buffers()}
        tensors |= _update_tensors(view, "after")
        tensors |= {Key5("ema", -1, name, "", "after"): clone(average) for name, average in averages(view)}
        return tensors | {Key5("rng", -1, name, "state", "after"): state for name, state in self._states().items()}

    def _arguments(self, kept: KeptForward, arguments: Any) -> None:
        kept.arguments += [
            ("batch" if tensor.grad_fn is None else "forward", where, clone(tensor))
            for where, tensor in tensors_in(arguments)
        ]

    def _after_module(self, module: nn.Module, args: Any, *rest: Any) -> None:
        if len(rest) < 2 or not self._soon:
            return
        (self._open.modes if self._open is not None else self._window.modes[0]).see(module)
        if self._open is None:
            return
        made = list(tensors_in(rest[1]))
        layout = next(filter(None, (layout_of(tensor) for _, tensor in made)), "")
        self._open.calls.append(Call(module, module.training, {where: clone(one) for where, one in made}, layout))

    def _see_gradients(self, micro: int, moment: str) -> None:
        for number, leaf in self._leaves.items():
            if leaf.grad is not None:
                self._window.gradients[micro, number, moment] = clone(leaf.grad)


def _facts(name: str, module: nn.Module, held: str) -> ModuleFacts:
    """Of a module that is not called in the step."""
    return ModuleFacts(name, type(module).__name__, module.extra_repr(), module.training, False, held=held)


def _in_order(outputs: Mapping[Key5, Tensor]) -> dict[tuple[int, str, int], None]:
    """(micro-step, module, which of its calls), as the outputs came."""
    return dict.fromkeys((key.micro, key.name, int(key.field.partition(".")[0])) for key in outputs)


def _name_calls(
    calls: Sequence[tuple[int, Call]], names: Mapping[int, str], held: Mapping[int | None, str]
) -> tuple[dict[Key5, Tensor], list[ModuleFacts]]:
    """The modules' outputs under their names, in the order in which they came, and what else is known."""
    seen: dict[tuple[int, str], int] = {}
    outputs: dict[Key5, Tensor] = {}
    facts: dict[ModuleFacts, None] = {}
    for micro, call in calls:
        name = names.get(id(call.module))
        if name is None:
            continue
        number = seen[micro, name] = seen.get((micro, name), -1) + 1
        for where, output in call.outputs.items():
            outputs[Key5("module", micro, name, f"{number}.{where}", "after")] = output
        kind = type(call.module).__name__
        numbers = held.get(id(call.module), "{}")
        facts.setdefault(
            ModuleFacts(name, kind, call.module.extra_repr(), call.training, held=numbers, layout=call.layout)
        )
    return outputs, list(facts)


def _update_tensors(view: OptimizerView, moment: str) -> dict[Key5, Tensor]:
    found = {Key5("param", -1, name, "", moment): clone(parameter) for name, parameter in view.parameters()}
    for name, _ in view.parameters():
        for field, value in view.state.get(name, {}).items():
            if isinstance(value, Tensor):
                found[Key5("optimizer", -1, name, str(field), moment)] = clone(value)
            elif isinstance(value, (bool, int, float)):
                found[Key5("optimizer", -1, name, str(field), moment)] = torch.tensor(float(value), dtype=torch.float64)
    return found


def _gradients(view: OptimizerView) -> dict[Key5, Tensor]:
    return {Key5("grad", -1, name, "", "before"): clone(gradient) for name, gradient in _found(view)}


def _found(view: OptimizerView) -> list[tuple[str, Tensor]]:
    """The gradients that there are."""
    found = ((name, view.gradient(parameter)) for name, parameter in view.parameters())
    return [(name, gradient) for name, gradient in found if gradient is not None]
