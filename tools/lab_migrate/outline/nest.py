"""Which loops are outlined together: a training loop, the loops around it, and the calls between them.

The loops of one function around a training loop become generator functions. Where a training loop stands in a function
that is called in a loop elsewhere (`for epoch in …: train_epoch(…)`), that function becomes a generator behind
`@outlined.loop`, which whoever else calls it never notices, and the call becomes `yield from outlined.call(…)`. And so
on, up to the last loop that calls.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

import attrs

from lab_migrate.analysis.calls import Call, CallGraph
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.analysis.training_loop import TrainingLoop
from lab_migrate.convert.rule import Rule
from lab_migrate.outline.handed_on import hands_objects_on
from lab_migrate.outline.refusals import refusals
from lab_migrate.outline.runs import trains_anew

_LOOPS = ast.For | ast.While
#: How many calls up a nest is followed.
MAX_CALLS = 3
#: A call that may lead to more functions than this was found by a common name.
MAX_TARGETS = 3


@attrs.define(eq=False)
class Plan:
    """What to do in a project: loops to outline, functions to make generators, calls to hand through.

    `loops[id(node)] = (function, node, root)`; a loop is in here once, however many training loops it is around.
    """

    loops: dict[int, tuple[Function, ast.For | ast.While, bool]] = attrs.field(factory=dict)
    training: set[int] = attrs.field(factory=set)
    generators: dict[int, Function] = attrs.field(factory=dict)
    calls: dict[int, tuple[Function, ast.Call]] = attrs.field(factory=dict)
    #: Of training loops: the loop further up that calls all of it again and again, each time a training of its own.
    again: dict[int, tuple[Function, ast.For | ast.While]] = attrs.field(factory=dict)


def plan(loops: list[TrainingLoop], graph: CallGraph, wanted: Collection[str], rules: Sequence[Rule]) -> Plan:
    """Decide for every training loop that can be outlined; calls are followed up within the files `wanted`."""
    made = Plan()
    inside = {id(node) for loop in loops for node in own_nodes(loop.node.body)}
    for loop in loops:
        if id(loop.node) in inside:
            continue
        _Nest(loop, graph, made, inside, wanted, rules).add()
    return made


class _Nest:
    def __init__(
        self,
        loop: TrainingLoop,
        graph: CallGraph,
        made: Plan,
        inside: set[int],
        wanted: Collection[str],
        rules: Sequence[Rule],
    ) -> None:
        self.training, self.graph, self.made = loop, graph, made
        self.inside, self.wanted, self.rules = inside, wanted, rules

    def add(self) -> None:
        """Add the training loop with all that goes with it."""
        assert not isinstance(self.training.node, ast.AsyncFor)
        self.made.training.add(id(self.training.node))
        around = _usable(self.training.owner, self.training.around, self.rules)
        # Inside a loop that is a training by itself each time, nothing further up belongs to this one.
        alone = len(around) < len(self.training.around)
        chains = [] if alone else self._chains(self.training.owner, 0, {id(self.training.owner)})
        self._add_levels(self.training.owner, [self.training.node, *around], root=not chains)
        for chain in chains:
            for function, call, levels in chain:
                self.made.generators[id(self.made_target(call))] = self.made_target(call)
                self.made.calls[id(call.node)] = (function, call.node)  # type: ignore[assignment]
                self._add_levels(function, levels, root=function is chain[-1][0])
        roots = [chain[-1][0] for chain in chains] or ([] if alone else [self.training.owner])
        for root in roots:
            for call in self.graph.callers_of(root):
                if self._may_hand_through(call) and (further := _around(call.caller, call.node)):
                    self.made.again[id(self.training.node)] = call.caller, further[0]

    @staticmethod
    def made_target(call: Call) -> Function:
        """The function that a call hands through to."""
        return call.targets[0]

    def _add_levels(self, function: Function, levels: list[ast.For | ast.While], root: bool) -> None:
        for index, loop in enumerate(levels):
            is_root = root and index == len(levels) - 1
            known = self.made.loops.get(id(loop))
            self.made.loops[id(loop)] = (function, loop, is_root or (known[2] if known else False))

    def _chains(
        self, function: Function, depth: int, seen: set[int], inside: bool = False
    ) -> list[list[tuple[Function, Call, list[ast.For | ast.While]]]]:
        """Ways up from a function to the loops elsewhere that call it; empty where it should run its own `fit`.

        `inside` a loop that calls, a further one is part of the training unless its iterations hand objects on.
        """
        if depth >= MAX_CALLS or not _can_be_generator(function):
            return []
        found = []
        for call in self.graph.callers_of(function):
            caller = call.caller
            if not self._can_hand_through(call) or id(caller) in seen:
                continue
            every = _around(caller, call.node)
            around = _usable(caller, every, self.rules)
            if inside:
                handed = [hands_objects_on(caller, loop, self.graph) for loop in around]
                around = around[: handed.index(True)] if any(handed) else around
            if every and not around:
                continue
            alone = len(around) < len(every)
            further = [] if alone else self._chains(caller, depth + 1, seen | {id(caller)}, inside or bool(around))
            if around and not further and _can_be_site(caller):
                further = [[]]
            found += [[(caller, _to(call, function), list(around)), *chain] for chain in further]
        return found

    def _can_hand_through(self, call: Call) -> bool:
        return self._may_hand_through(call) and _is_plain_call(call.caller, call.node)  # type: ignore[arg-type]

    def _may_hand_through(self, call: Call) -> bool:
        node = call.node
        if not call.direct or not isinstance(node, ast.Call) or call.caller.path not in self.wanted:
            return False
        if len({target.cls.name if target.cls else target.name for target in call.targets}) > MAX_TARGETS:
            # Found by a common name alone.
            return False
        # A training loop's body is no generator.
        return id(node) not in self.inside


def _to(call: Call, function: Function) -> Call:
    return Call(call.caller, call.node, (function,), call.direct)


def _usable(
    function: Function, around: Sequence[ast.For | ast.While | ast.AsyncFor], rules: Sequence[Rule]
) -> list[ast.For | ast.While]:
    """The loops around, innermost first, up to the first that cannot be outlined or that builds its own optimizer."""
    kept: list[ast.For | ast.While] = []
    for loop in around:
        if isinstance(loop, ast.AsyncFor) or refusals(function, loop, rules) or trains_anew(function, loop):
            break
        kept.append(loop)
    return kept


def _around(function: Function, node: ast.AST) -> list[ast.For | ast.While]:
    """Loops of a function whose body holds a node, innermost first."""
    found = [
        loop
        for loop in function.own
        if isinstance(loop, _LOOPS) and any(inner is node for statement in loop.body for inner in ast.walk(statement))
    ]
    return list(reversed(found))


def _can_be_generator(function: Function) -> bool:
    node = function.node
    if not isinstance(node, ast.FunctionDef) or function.name.startswith("__"):
        return False
    if any(dotted(decorator) not in ("staticmethod", "classmethod") for decorator in node.decorator_list):
        return False
    return not any(isinstance(one, ast.Yield | ast.YieldFrom | ast.Await) for one in function.own)


def _can_be_site(function: Function) -> bool:
    return not isinstance(function.node, ast.AsyncFunctionDef | ast.Lambda)


def _is_plain_call(caller: Function, node: ast.Call) -> bool:
    """A call that `yield from` can replace: in a statement, not in a comprehension, with ordinary arguments."""
    if not _can_be_site(caller) or any(isinstance(arg, ast.GeneratorExp) for arg in node.args):
        return False
    scopes = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.FunctionDef | ast.ClassDef
    inner = (one for one in caller.own if isinstance(one, scopes))
    return not any(found is node for one in inner for found in ast.walk(one))
