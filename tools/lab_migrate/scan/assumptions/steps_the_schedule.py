"""The learning-rate schedule is stepped by the code

After the optimizer or before it, per step, per epoch, per loss: Lightning's default is once an epoch.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.kinds import receiver, words
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.syntax import last_name

FAITHFUL = "stays in the step"
IDIOMATIC = "configure_optimizers, with the interval written out"
_STEPS = ("step", "step_update", "update", "update_lr", "step_and_update_lr", "update_learning_rate", "__call__")


def find_in_loop(loop: LoopView) -> Iterator[Evidence]:
    """Steps of what is called a scheduler, in what the body reaches and around the loop in the same function."""
    own = {id(node) for node in loop.own}
    for file, node in loop.everywhere(ast.Call):
        if isinstance(node, ast.Call) and _is_schedule_step(node):
            yield file.evidence(node, "per step")
    for node in loop.loop.owner.own:
        if isinstance(node, ast.Call) and id(node) not in own and _is_schedule_step(node):
            yield loop.file.evidence(node, "outside the loop")


def _is_schedule_step(call: ast.Call) -> bool:
    name = receiver(call)
    schedules = any(word.startswith("sched") or word == "lrs" for word in words(name)) or name.endswith("lr_scheduler")
    return schedules and last_name(call.func) in _STEPS
