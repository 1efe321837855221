"""What a conversion says of each loop: that it was converted and how, or why it was not."""

from __future__ import annotations

import ast

from lab_migrate.analysis import Module, TrainingLoop, Unread
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.convert.rule import Refusal
from lab_migrate.findings import Finding, Status
from lab_migrate.outline.beginnings import Read
from lab_migrate.outline.nest import Plan

__all__ = ["by_hand", "converted", "kept", "left_unread", "refused"]


def converted(loop: TrainingLoop, made: Plan) -> Finding:
    """Under Lightning, with the loops around it."""
    outer = sum(id(node) in made.loops for node in loop.around)
    with_outer = f", with {outer} loop{'s' if outer > 1 else ''} around it" if outer else ""
    return Finding(
        loop.path, loop.line, loop.node.col_offset + 1, "LM201", Status.SAFE,
        f"training loop of {loop.function} (shape {loop.shape}){with_outer} runs under Lightning, its body verbatim"
        + _again(loop, made)
        + _own_processes(loop.owner.module),
    )  # fmt: skip


def _again(loop: TrainingLoop, made: Plan) -> str:
    """What is said where a loop further up stays the program's own."""
    if id(loop.node) not in made.again:
        return ""
    function, further = made.again[id(loop.node)]
    return (
        f"; each iteration of the loop at {function.path}:{further.lineno} is a training of its own, and a resumed "
        "program runs those before the checkpoint's once more"
    )


def _own_processes(module: Module) -> str:
    """What is said where a file sets up several processes: each has a Trainer of its own, and all else stays."""
    for node in ast.walk(module.tree):
        name = dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        full = module.symbols.imports.get(name, name).rpartition(".")[2]
        if isinstance(node, ast.Call) and full in ("init_process_group", "DistributedDataParallel"):
            return f"; {full} (line {node.lineno}) stays the program's own, and each process has a Trainer for itself"
    return ""


def refused(loop: TrainingLoop, code: str, refusal: Refusal) -> Finding:
    """By this rule, for this reason."""
    node = refusal.node
    return Finding(
        loop.path, getattr(node, "lineno", loop.line), getattr(node, "col_offset", 0) + 1, code, Status.UNSUPPORTED,
        f"training loop at line {loop.line} left as it is: {refusal.reason}", refusal.next_step,
    )  # fmt: skip


def kept(function: Function, loop: ast.stmt, read: Read) -> Finding:
    """The state of its beginning is in each checkpoint, for what is read there."""
    return Finding(
        function.path, loop.lineno, loop.col_offset + 1, "LM231", Status.SAFE,
        f"code before a loop inside may read what the training changes: {read.text}; checkpoints hold, besides their "
        "own, the state of the iteration's beginning, on which a resumed training runs it once more",
    )  # fmt: skip


def by_hand(loop: TrainingLoop) -> Finding:
    """No optimizer steps, so iterations are counted."""
    update = loop.step[0] if loop.step else None
    return Finding(
        loop.path, loop.line, loop.node.col_offset + 1, "LM230", Status.REVIEW,
        f"no torch optimizer steps: {update.place if update else 'its code'} updates the parameters by hand, so each "
        "iteration counts as one of Lightning's steps",
        "read global_step as iterations; learning-rate monitors see nothing",
    )  # fmt: skip


def left_unread(unread: Unread, entry: str | None) -> Finding:
    """A file that no rule has seen; it needs a hand where it is the entry itself."""
    message = f"not read, so left as it is: {unread.reason}"
    if unread.path != entry:
        return Finding(unread.path, unread.line, 0, "LM203", Status.REVIEW, message)
    return Finding(
        unread.path, unread.line, 0, "LM203", Status.UNSUPPORTED, message,
        "port this file to the syntax of Python 3 (2to3 does most of it), then convert again",
    )  # fmt: skip
