"""The three things that make a loop a training loop: a backward pass, an optimizer step, zeroed gradients.

An event is what a line of code does itself; what it reaches through calls is `loops.Reach`. The receivers of `.step()`
are told apart by their names where their types are unknown: schedules, profilers and simulators step too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

import attrs

from lab_migrate.analysis.by_hand import gradients_set, gradients_taken, updates_by_hand
from lab_migrate.analysis.symbols import Function, dotted

BACKWARD, STEP, ZERO = "backward", "step", "zero"

#: Receivers whose `.step()` updates no parameter.
_NO_OPTIMIZER = re.compile(
    r"(sched|lr_?s|^lrs?$|warm_?up|prof|env|game|sim|world|wandb|mlflow|clearml|writer|logger|tracker|timer|pbar|bar$"
    r"|progress|early|stopp|annealer|decay|ema|robot|physics|episode|board|mjx?|solver_env)",
    re.IGNORECASE,
)
_OPTIMIZER = re.compile(r"(opt|solver|scaler|trainer_[gd]$|adam|sgd|lbfgs|lion|muon)", re.IGNORECASE)
#: What a function is called that keeps or shows what it is given.
_LOOKS = re.compile(r"(save|log|print|record|track|write|show|report|checkpoint|ckpt|scale_loss)", re.IGNORECASE)
#: What `higher` calls the optimizer that it differentiates through: it makes new parameters, and updates none.
_DIFFERENTIABLE = re.compile(r"^diff(erentiable)?_?opt", re.IGNORECASE)
#: What an optimizer's step is given, at most: a loss and what came of it.
_MOST_GIVEN = 2
_STEPS = {"step", "first_step", "second_step", "optimizer_step", "step_and_update_lr"}


@attrs.frozen
class Event:
    """One backward, step or zeroing, in the code of one function. `receiver` is `loss` in `loss.backward()`.

    `by_hand` is a step that code makes itself, without an optimizer: the first line that changes a parameter.
    """

    kind: str
    line: int
    column: int
    receiver: str
    node: ast.AST = attrs.field(eq=False, repr=False)
    by_hand: bool = False


def events_of(function: Function) -> list[Event]:
    """Events in a function's own code, in source order."""
    return events_in(function.own)


def events_in(nodes: list[ast.AST]) -> list[Event]:
    """Events among these nodes of one function; an update by hand is one where no optimizer steps there."""
    found = []
    for node in nodes:
        event = _event(node)
        if event is not None:
            found.append(event)
    if not any(event.kind == STEP for event in found):
        found += _by_hand(nodes)
    if not any(event.kind == BACKWARD for event in found):
        found += [attrs.evolve(event, kind=BACKWARD) for event in found if _is_given_a_batch(event)]
    if {event.kind for event in found} & {BACKWARD, STEP} == {STEP}:
        found += [_backward_by(call) for call in gradients_set(nodes)]
    return found


def handed_over(nodes: list[ast.AST], known: Collection[int]) -> list[Event]:
    """A backward pass and a step for each call that is given a loss and an optimizer: somebody else's does both.

    As timm's `loss_scaler(loss, optimizer, clip_grad=…)`. Calls whose `id` is in `known` lead into the project, where
    what they do is seen; beside a backward pass of the code's own, none is handed over.
    """
    if any(event.kind in (BACKWARD, STEP) for event in events_in(nodes)):
        return []
    found = []
    for node in nodes:
        if isinstance(node, ast.Call) and id(node) not in known and _takes_loss_and_optimizer(node):
            where = (node.lineno, node.col_offset)
            found += [Event(kind, *where, ast.unparse(node.func), node) for kind in (BACKWARD, STEP)]
    return found


def _takes_loss_and_optimizer(call: ast.Call) -> bool:
    name = dotted(call.func).rpartition(".")[2]
    if not call.args or _LOOKS.search(name) or "loss" not in dotted(call.args[0]).rpartition(".")[2].lower():
        return False
    others = [*call.args[1:], *(word.value for word in call.keywords)]
    return any(re.search(r"(^|_)opt(im|imi[sz]er)?(_|$)", dotted(one).rpartition(".")[2].lower()) for one in others)


def _is_given_a_batch(event: Event) -> bool:
    """`losses = model.optimizer.step(x, y, labels)`: an optimizer that takes the gradients itself."""
    return event.kind == STEP and isinstance(event.node, ast.Call) and len(event.node.args) > _MOST_GIVEN


def _by_hand(nodes: list[ast.AST]) -> list[Event]:
    updates = updates_by_hand(nodes)
    if not updates:
        return []
    first = updates[0]
    return [
        *(_backward_by(call) for call in gradients_taken(nodes)),
        Event(STEP, first.lineno, first.col_offset, "by hand", first, by_hand=True),
    ]


def _backward_by(call: ast.Call) -> Event:
    """`torch.autograd.grad(loss, params)` where it stands for a backward pass."""
    return Event(BACKWARD, call.lineno, call.col_offset, ast.unparse(call.args[0]) if call.args else "", call)


def _event(node: ast.AST) -> Event | None:
    if not isinstance(node, ast.Call):
        return None
    func = node.func
    if not isinstance(func, ast.Attribute):
        return None
    if func.attr not in _STEPS and func.attr not in ("backward", "manual_backward", "zero_grad"):
        return None
    receiver = dotted(func.value) or ast.unparse(func.value)
    where = (node.lineno, node.col_offset)
    if func.attr in ("backward", "manual_backward"):
        # `super().backward(...)` and a Function's static backward belong to autograd, not to a training.
        return None if receiver.startswith("super()") else Event(BACKWARD, *where, receiver, node)
    if func.attr in _STEPS and not receiver.startswith("super()"):
        last = receiver.rpartition(".")[2] or receiver
        named = _OPTIMIZER.search(last) is not None
        if _DIFFERENTIABLE.search(last):
            return None
        if not named and (_NO_OPTIMIZER.search(receiver) or last in ("self", "torch", "dist")):
            return None
        if not named and func.attr == "step" and node.args and not _is_closure(node.args[0]):
            return None  # `x = attack.step(x, grad)`, `env.step(action)`: an optimizer is given a closure, or a loss
        if not named and func.attr == "step" and len(node.args) > _MOST_GIVEN:
            return None  # a step of a search (`architect.step(x, y, x_valid, y_valid, lr)`), which has an optimizer
        return Event(STEP, *where, receiver, node)
    if func.attr == "zero_grad" and not receiver.startswith("super()"):
        return Event(ZERO, *where, receiver, node)
    return None


def _is_closure(node: ast.expr) -> bool:
    if isinstance(node, ast.Lambda):
        return True
    name = dotted(node).rpartition(".")[2]
    return bool(re.search(r"(clos|opt|loss|fn$|func)", name, re.IGNORECASE))
