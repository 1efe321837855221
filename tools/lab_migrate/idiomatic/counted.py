"""Loops that only count, in a `range(…)`, and make their batches themselves: the range is what Lightning iterates over.

    for step in range(steps):                   def training_step(self, batch, batch_idx):
        if step % 100 == 0:                         if batch_idx % 100 == 0:
            print(estimate_loss())                      print(estimate_loss())
        x, y = get_batch("train")                   x, y = get_batch("train")
        …                                           …
                                                trainer.fit(lit, range(steps))      # one epoch

What draws does so where it did: a range draws nothing, and Lightning, which knows its length, takes no batch ahead.
"""

from __future__ import annotations

import ast

from lab_migrate.analysis import CallGraph, TrainingLoop
from lab_migrate.analysis.symbols import own_nodes
from lab_migrate.idiomatic.batches import Batches, batches_of, is_range
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.mentions import flow_of
from lab_migrate.idiomatic.nest import Nest, Steps
from lab_migrate.idiomatic.refused import NotIdiomaticError, no_nest

__all__ = ["counted_nest", "refuse_other_counts", "stands_alone"]


def stands_alone(training: TrainingLoop, graph: CallGraph) -> bool:
    """Whether a counting loop is all of a training: no loop of epochs stands around it, or calls its function."""
    loop = training.node
    if training.around or not isinstance(loop, ast.For):
        return False
    try:
        found = batches_of(Frame(training.owner), loop)
    except NotIdiomaticError:
        return False
    return found.is_counted and not any(
        _is_in_a_loop(call.node, call.caller.own) for call in graph.callers_of(training.owner)
    )


def counted_nest(training: TrainingLoop) -> Nest:
    """The nest of a counting loop that is all of a training. Raises `NotIdiomaticError`."""
    loop, owner = training.node, training.owner
    base = Frame(owner)
    train = batches_of(base, loop)
    assert isinstance(loop, ast.For)
    assert isinstance(train.loader, ast.Call)
    first = train.loader.args[0] if len(train.loader.args) == 2 else ast.Constant(0)
    start = first.value if len(train.loader.args) <= 2 and isinstance(first, ast.Constant) else None
    if isinstance(train.target, ast.Name) and not train.index and type(start) is int:
        # Lightning counts, too, and goes on counting from a checkpoint.
        train.index, train.start = train.target.id, start
        train.target = ast.Name(_unread("batch", loop), ast.Store())
    return Nest(training, base, loop, "", None, ast.Constant(1), train, [], [], None, [], [], Steps("", None, None))


def refuse_other_counts(loop: Batches, items: list[Item]) -> None:
    """Raises `NotIdiomaticError` where a range depends on what the epochs change: Lightning has one for all of them."""
    assert isinstance(loop.loader, ast.Call)
    stored = {name.partition(".")[0] for name in flow_of(items).stored}
    stored |= {loop.frame.canonical(node) for node in own_nodes(loop.body) if isinstance(node, ast.Name)
               and not isinstance(node.ctx, ast.Load)}  # fmt: skip
    for node in ast.walk(loop.loader):
        if isinstance(node, ast.Name) and loop.frame.canonical(node) in stored:
            raise no_nest(
                loop.frame.function, loop.node, f"how many batches it has depends on {node.id}, which changes"
            )
    if loop.frame.in_base(loop.loader) is None or not is_range(loop.loader):
        raise no_nest(
            loop.frame.function, loop.node, "how many batches it has cannot be told where the epochs are counted"
        )


def _is_in_a_loop(call: ast.AST, nodes: list[ast.AST]) -> bool:
    loops = [node for node in nodes if isinstance(node, ast.For | ast.While)]
    return any(one is call for loop in loops for part in loop.body for one in ast.walk(part))


def _unread(name: str, loop: ast.For) -> str:
    """A name that the loop does not read before it assigns it."""
    used = {node.id for node in ast.walk(loop) if isinstance(node, ast.Name)}
    while name in used:
        name = f"{name}_"
    return name
