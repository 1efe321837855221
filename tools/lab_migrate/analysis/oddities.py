"""What looks like a bug of a training loop: told from the order of its lines, and kept by every conversion."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

import attrs

from lab_migrate.analysis.events import BACKWARD, STEP, ZERO, events_in
from lab_migrate.analysis.one_more import one_step_more
from lab_migrate.analysis.symbols import dotted, own_nodes
from lab_migrate.analysis.training_loop import TrainingLoop

__all__ = ["Oddity", "oddities_of"]

_CLIPS = ("clip_grad_norm_", "clip_grad_norm", "clip_grad_value_", "clip_grad_value")


@attrs.frozen
class Oddity:
    """A line, and what is odd about it."""

    path: str
    line: int
    column: int
    said: str


def oddities_of(loop: TrainingLoop) -> list[Oddity]:
    """In the loop's own body, and in the functions of its file that step for it."""
    stepping = {reach.function for reach in loop.step if not reach.direct and reach.path == loop.path}
    bodies = [loop.node.body]
    bodies += [one.body for one in loop.owner.module.symbols.functions if one.qualified in stepping]
    said = [pair for body in bodies for pair in _clipped_at_the_wrong_moment(body)]
    said += _left_over(loop)
    said += one_step_more(loop)
    return [Oddity(loop.path, getattr(node, "lineno", 0), getattr(node, "col_offset", 0) + 1, text)
            for node, text in said]  # fmt: skip


def _clipped_at_the_wrong_moment(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.AST, str]]:
    nodes = own_nodes(list(body))
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)]
    clips = [call for call in calls if _name(call) in _CLIPS]
    backwards = [event.line for event in events_in(nodes) if event.kind == BACKWARD]
    if not clips or not backwards:
        return
    if all(call.lineno < min(backwards) for call in clips):
        yield clips[0], "gradients are clipped before the backward pass that makes them"
        return
    scales = [call for call in calls if _name(call) == "scale" and "scaler" in dotted(call.func).lower()]
    unscales = [call.lineno for call in calls if _name(call) == "unscale_"]
    steps = [call.lineno for call in calls if _name(call) == "step" and "scaler" in dotted(call.func).lower()]
    if not scales or not steps:
        return
    for clip in clips:
        if min(backwards) < clip.lineno < max(steps) and not any(line <= clip.lineno for line in unscales):
            yield clip, "gradients are clipped while they are still multiplied by the scaler's factor"
            return


def _left_over(loop: TrainingLoop) -> Iterator[tuple[ast.AST, str]]:
    """A step every K batches, whose last batches have none of their own."""
    if not isinstance(loop.node, ast.For):
        return
    body = loop.node.body
    update = next((node for node in body if isinstance(node, ast.If) and _kinds([node]) >= {STEP}), None)
    if update is None or BACKWARD in _kinds([update]) or not _is_every(update.test) or update.orelse:
        return
    others = [node for node in body if node is not update]
    if STEP in _kinds(others) or any(ZERO in _kinds([node]) for node in others if not isinstance(node, ast.If)):
        return
    epoch = loop.around[0] if loop.around else None
    suite = epoch.body if epoch is not None else loop.owner.body
    after = [node for node in suite if node.lineno > (loop.node.end_lineno or 0)]
    before = [node for node in suite if node.lineno < loop.node.lineno]
    if STEP in _kinds(after):
        return
    zeroed = ZERO in _kinds(before) or ZERO in _kinds(after)
    fate = (
        "are dropped"
        if zeroed or (epoch is None and loop.owner.parent is None)
        else "wait for the next epoch's first step"
    )
    yield update, f"where an epoch's batches are no multiple of its steps', the gradients of the last ones {fate}"


def _is_every(test: ast.expr) -> bool:
    """`(i + 1) % K == 0`, `not i % K`, and nothing besides."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test = test.operand
    elif isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        test = test.left
    return isinstance(test, ast.BinOp) and isinstance(test.op, ast.Mod)


def _kinds(nodes: Sequence[ast.stmt]) -> set[str]:
    return {event.kind for event in events_in(own_nodes(list(nodes)))}


def _name(call: ast.Call) -> str:
    return dotted(call.func).rpartition(".")[2]
