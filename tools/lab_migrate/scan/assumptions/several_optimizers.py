"""One loop steps several optimizers

Lightning counts every step of every optimizer (its issue 17958), and `toggle_optimizer` changes gradients
(naive migration: grad@0).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.loop_view import LoopView

FAITHFUL = "stays in the step; one of them counts as Lightning's step"
IDIOMATIC = "manual optimization; one of them counts as Lightning's step"


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """The steps, where their receivers are more than one optimizer: a scaler and an optimizer are one."""
    receivers: dict[str, list[Evidence]] = {}
    for reach in loop.loop.step:
        if is_step_of_optimizer(reach.function):
            continue
        call = reach.event.node
        name = reach.event.receiver
        if isinstance(call, ast.Call) and "scaler" in name.lower() and call.args:
            name = ast.unparse(call.args[0])
        receivers.setdefault(name.rpartition(".")[2], []).append(loop.file_of(reach.path).evidence(call))
    if len(receivers) > 1:
        for found in receivers.values():
            yield from found


def is_step_of_optimizer(function: str) -> bool:
    """Whether a method is an optimizer's own step, which may call the step of the one inside it."""
    return function.rpartition(".")[2] in ("step", "first_step", "second_step", "step_and_update_lr", "optimizer_step")
