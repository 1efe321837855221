"""One loop steps several optimizers

Lightning counts every step of every optimizer (its issue 17958), and `toggle_optimizer` changes gradients
(naive migration: grad@0).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis.events import STEP, Event, events_of
from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView

FAITHFUL = "stays in the step; one of them counts as Lightning's step"
IDIOMATIC = "manual optimization; one of them counts as Lightning's step"


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """The steps, where their receivers are more than one optimizer: a scaler and an optimizer are one.

    Those that the body reaches are told apart within a class, or among a file's functions: of several algorithms that a
    loop may run, each with one optimizer, it steps one.
    """
    receivers: dict[tuple[str, str], dict[str, dict[int, Evidence]]] = {}
    for path, function, event in _steps(loop):
        call, name = event.node, event.receiver
        if isinstance(call, ast.Call) and "scaler" in name.lower() and call.args:
            name = ast.unparse(call.args[0])
        home = receivers.setdefault((path, function.rpartition(".")[0]), {})
        home.setdefault(name.rpartition(".")[2], {})[id(call)] = loop.file_of(path).evidence(call)
    for found in receivers.values():
        if len(found) > 1:
            for evidence in found.values():
                yield from evidence.values()


def _steps(loop: LoopView) -> Iterator[tuple[str, str, Event]]:
    """Path and function of each step: the body's own, and all of every function that it reaches."""
    for reach in loop.loop.step:
        if not is_step_of_optimizer(reach.function):
            yield reach.path, reach.function, reach.event
    for reached in loop.reached:
        function = reached.function
        if not is_step_of_optimizer(function.qualified):
            for event in events_of(function):
                if event.kind == STEP:
                    yield function.path, function.qualified, event


def is_step_of_optimizer(function: str) -> bool:
    """Whether a method is an optimizer's own step, which may call the step of the one inside it."""
    return function.rpartition(".")[2] in ("step", "first_step", "second_step", "step_and_update_lr", "optimizer_step")
