"""The three things that make a loop a training loop: a backward pass, an optimizer step, zeroed gradients.

An event is what a line of code does itself; what it reaches through calls is `loops.Reach`. The receivers of `.step()`
are told apart by their names where their types are unknown: schedules, profilers and simulators step too.
"""

from __future__ import annotations

import ast
import re

import attrs

from lab_migrate.analysis.by_hand import gradients_taken, updates_by_hand
from lab_migrate.analysis.symbols import Function, dotted

BACKWARD, STEP, ZERO = "backward", "step", "zero"

#: Receivers whose `.step()` updates no parameter.
_NO_OPTIMIZER = re.compile(
    r"(sched|lr_?s|^lrs?$|warm_?up|prof|env|game|sim|world|wandb|mlflow|clearml|writer|logger|tracker|timer|pbar|bar$"
    r"|progress|early|stopp|annealer|decay|ema|robot|physics|episode|board|mjx?|solver_env)",
    re.IGNORECASE,
)
_OPTIMIZER = re.compile(r"(opt|solver|scaler|trainer_[gd]$|adam|sgd|lbfgs|lion|muon)", re.IGNORECASE)
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
    return found


def _by_hand(nodes: list[ast.AST]) -> list[Event]:
    updates = updates_by_hand(nodes)
    if not updates:
        return []
    first = updates[0]
    taken = [
        Event(BACKWARD, call.lineno, call.col_offset, ast.unparse(call.args[0]) if call.args else "", call)
        for call in gradients_taken(nodes)
    ]
    return [*taken, Event(STEP, first.lineno, first.col_offset, "by hand", first, by_hand=True)]


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
        if not named and (_NO_OPTIMIZER.search(receiver) or last in ("self", "torch", "dist")):
            return None
        if not named and func.attr == "step" and len(node.args) == 1 and not _is_closure(node.args[0]):
            return None
        return Event(STEP, *where, receiver, node)
    if func.attr == "zero_grad" and not receiver.startswith("super()"):
        return Event(ZERO, *where, receiver, node)
    return None


def _is_closure(node: ast.expr) -> bool:
    if isinstance(node, ast.Lambda):
        return True
    name = dotted(node).rpartition(".")[2]
    return bool(re.search(r"(clos|opt|loss|fn$|func)", name, re.IGNORECASE))
