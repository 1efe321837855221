"""Loops that take one step more than their bound says: `while step <= n`, `if step > n: break` behind the step."""

from __future__ import annotations

import ast
import operator
from collections.abc import Iterator

from lab_migrate.analysis.events import STEP, events_in
from lab_migrate.analysis.symbols import dotted, own_nodes
from lab_migrate.analysis.training_loop import TrainingLoop

_TESTS = {ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq, ast.Lt: operator.lt, ast.LtE: operator.le}
#: A bound to count with.
_BOUND = 5


def one_step_more(loop: TrainingLoop) -> Iterator[tuple[ast.AST, str]]:
    """Counted with a small bound: the loop's own header, or a `break` of its body, that lets one step more through."""
    steps = [reach.event.line for reach in loop.step if reach.direct]
    if not steps or any(_inside_if(loop, line) for line in steps):
        return
    for bound, test, breaks in _bounds(loop):
        counter, first, increment = _counter(loop, test)
        if counter is None:
            continue
        passed = _count(type(test.ops[0]), first, increment, test.lineno, min(steps), breaks)
        if passed == _BOUND + 1:
            yield test, f"the loop lets one step more through than {bound}, since {counter} is counted from {first}"
            return


def _bounds(loop: TrainingLoop) -> Iterator[tuple[str, ast.Compare, bool]]:
    """Comparisons of a counter with a named bound: the header of a `while`, and conditions of a `break`."""
    if isinstance(loop.node, ast.While):
        yield from _named(loop.node.test, breaks=False)
    for node in loop.node.body:
        if isinstance(node, ast.If) and any(isinstance(one, ast.Break) for one in node.body):
            yield from _named(node.test, breaks=True)


def _named(test: ast.expr, breaks: bool) -> Iterator[tuple[str, ast.Compare, bool]]:
    simple = isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in _TESTS
    if isinstance(test, ast.Compare) and simple and dotted(test.left) and dotted(test.comparators[0]):
        yield dotted(test.comparators[0]), test, breaks


def _counter(loop: TrainingLoop, test: ast.Compare) -> tuple[str | None, int, int]:
    """The counter's name, where it begins, and the line that counts it up; 0 where the loop's header does."""
    name = dotted(test.left)
    node = loop.node
    if isinstance(node, ast.For) and isinstance(node.iter, ast.Call):
        function = dotted(node.iter.func).rpartition(".")[2]
        target = node.target.elts[0] if isinstance(node.target, ast.Tuple) and node.target.elts else node.target
        if function == "enumerate" and dotted(target) == name and len(node.iter.args) == 1 and not node.iter.keywords:
            return name, 0, 0
    inside = {id(one) for one in own_nodes([node])}
    counts = [
        one for one in own_nodes(list(node.body)) if isinstance(one, ast.AugAssign) and dotted(one.target) == name
    ]
    starts = [
        one.value
        for one in loop.owner.own
        if isinstance(one, ast.Assign) and id(one) not in inside and any(dotted(to) == name for to in one.targets)
    ]
    firsts = {one.value for one in starts if isinstance(one, ast.Constant) and type(one.value) is int}
    plain = len(counts) == 1 and counts[0] in node.body and isinstance(counts[0].op, ast.Add)
    if len(firsts) != 1 or not plain or not isinstance(counts[0].value, ast.Constant) or counts[0].value.value != 1:
        return None, 0, 0
    return name, firsts.pop(), counts[0].lineno


def _count(test: type[ast.cmpop], first: int, increment: int, check: int, step: int, breaks: bool) -> int:
    """How many steps the bound lets through; lines tell what comes first in an iteration."""
    compare = _TESTS[test]
    value, steps = first, 0
    while steps < 4 * _BOUND:
        if not breaks and not compare(value, _BOUND):
            return steps
        for what, _ in sorted([("step", step), ("count", increment), ("check", check)], key=lambda pair: pair[1]):
            if what == "step":
                steps += 1
            elif what == "count" and increment:
                value += 1
            elif what == "check" and breaks and compare(value, _BOUND):
                return steps
        value += 0 if increment else 1
    return steps


def _inside_if(loop: TrainingLoop, line: int) -> bool:
    return any(
        isinstance(node, ast.If | ast.For | ast.While) and node.lineno <= line <= (node.end_lineno or 0)
        and any(event.kind == STEP for event in events_in(own_nodes([node])))
        for node in loop.node.body
    )  # fmt: skip
