"""Training loops: where backward, step and zeroing happen inside one loop, directly or through which calls.

Of several nested loops the training loop is the innermost one that holds both a backward pass and an optimizer step
of its own; loops inside its body (accumulation, critic steps) belong to the body, loops around it (epochs) are listed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab_migrate.analysis.calls import Call, CallGraph
from lab_migrate.analysis.events import BACKWARD, STEP, ZERO, Event, events_in, events_of, handed_over
from lab_migrate.analysis.gradients_off import GradientsOff
from lab_migrate.analysis.not_run import constants_of, not_run
from lab_migrate.analysis.sources import Project, read_project
from lab_migrate.analysis.symbols import Class, Function, base_name, own_nodes
from lab_migrate.analysis.test_files import is_test
from lab_migrate.analysis.training_loop import LoopNode, Reach, TrainingLoop, shape_of


def find_loops(project: Project | Path, graph: CallGraph | None = None) -> list[TrainingLoop]:
    """The training loops of a project, in order of path and line. Nothing is imported or run."""
    if isinstance(project, Path):
        project = read_project(project)
    search = _Search(graph or CallGraph(project))
    found = search.outermost([loop for function in project.functions for loop in search.loops_of(function)])
    return sorted(found, key=lambda loop: (loop.path, loop.line))


def declared_loops(project: Project, names: Sequence[str], graph: CallGraph | None = None) -> list[TrainingLoop]:
    """The outermost loop of each function that a profile names (`package.module.Class.method`); see `find_loops`.

    For a loop whose step is handed to it: what it calls is a function of somebody else's.
    """
    search = _Search(graph or CallGraph(project))
    return [
        search.made(function, *loops[0])
        for function in project.functions
        if f"{function.module.name}.{function.qualified}" in names and (loops := list(_loops_in(function.body, ())))
    ]


class _Search:
    """What every function reaches, and from it the loops."""

    def __init__(self, graph: CallGraph) -> None:
        self.graph = graph
        self._off = GradientsOff(graph)
        self._reach: dict[str, dict[int, tuple[Call, Function] | Event]] = {}
        self._exposed: dict[int, frozenset[str]] = {}
        self._partly: dict[tuple[int, frozenset[int]], frozenset[str]] = {}
        self._found: dict[int, list[TrainingLoop]] = {}

    def loops_of(self, function: Function) -> list[TrainingLoop]:
        """Training loops in a function's own code."""
        self.exposed(function)
        return self._found[id(function)]

    def outermost(self, loops: Sequence[TrainingLoop]) -> list[TrainingLoop]:
        """Without loops that are a part of another one's step: `train(x, y)` takes some steps of one network in a loop,
        then one of the other, and is called for every batch. Nor is one in a module's `forward`, whatever steps there:
        it runs wherever the module does."""
        inside = {id(loop): {id(node) for node in own_nodes([loop.node])} for loop in loops}

        def called_in_loops(loop: TrainingLoop) -> bool:
            """By all that calls its function from outside: a method of its name that itself calls is no such thing, nor
            is a test of it."""
            within, queue = False, [loop.owner]

            def is_of_test(function: Function) -> bool:
                return function.path != loop.path and is_test(function.path, function.module)

            for function in queue:
                calls = [call for call in self.graph.callers_of(function) if not is_of_test(call.caller)]
                if not calls:
                    return False
                for call in calls:
                    if any(id(call.node) in nodes for other, nodes in inside.items() if other != id(loop)):
                        within = True
                    elif all(call.caller is not known for known in queue):
                        queue.append(call.caller)
            return within

        return [
            loop
            for loop in loops
            if not (loop.owner.cls is not None and loop.owner.name == "forward" and self._may_be_module(loop.owner.cls))
            if not {BACKWARD, STEP} <= self.exposed(loop.owner) or not called_in_loops(loop)
        ]

    def _may_be_module(self, cls: Class) -> bool:
        """Whether it has a base that the project does not define: a trainer's own `forward` is an epoch."""
        lineage = self.graph.lineage(cls)
        known = {one.name for one in lineage} | {"object", "ABC", "Generic", "Protocol"}
        return any(base_name(base).rpartition(".")[2] not in known for one in lineage for base in one.node.bases)

    def exposed(self, function: Function) -> frozenset[str]:
        """The kinds of events that calling a function runs outside its own training loops.

        A loop trains when its body exposes both backward and step, so callees are decided first; within a recursion
        a function that is being decided exposes nothing.
        """
        key = id(function)
        if key not in self._exposed:
            self._exposed[key] = frozenset()
            self._found[key] = []
            # A file's top level also holds its class bodies, whose events are no function's own.
            if function.parent is None or any(key in self._table(kind) for kind in (BACKWARD, STEP, ZERO)):
                self._found[key] = self._training_loops(function, function.body, ())
                inside = {id(node) for loop in self._found[key] for node in own_nodes([loop.node])}
                self._exposed[key] = frozenset(
                    self._kinds(function, [node for node in function.own if id(node) not in inside])
                )
        return self._exposed[key]

    def _training_loops(
        self, function: Function, body: list[ast.stmt], around: tuple[LoopNode, ...]
    ) -> list[TrainingLoop]:
        found: list[TrainingLoop] = []
        for loop, outer in _loops_in(body, around):
            nodes = own_nodes(loop.body)
            if not self._trains(function, nodes):
                # Its callees' loops may still train; they are found with their own functions.
                continue
            inner = self._training_loops(function, loop.body, (loop, *outer))
            hidden = {id(node) for one in inner for node in own_nodes([one.node])}
            if inner and not self._trains(function, [node for node in nodes if id(node) not in hidden]):
                found += inner
            else:
                found.append(self.made(function, loop, outer))
        return found

    def _trains(self, function: Function, nodes: list[ast.AST]) -> bool:
        return {BACKWARD, STEP} <= self._kinds(function, nodes)

    def made(self, function: Function, loop: LoopNode, around: tuple[LoopNode, ...]) -> TrainingLoop:
        """A loop with what it reaches."""
        nodes = own_nodes(loop.body)
        reached = {kind: tuple(self._reaches(function, nodes, kind)) for kind in (BACKWARD, STEP, ZERO)}
        shape = shape_of(loop, nodes, reached[BACKWARD], reached[STEP], reached[ZERO])
        return TrainingLoop(function, loop, shape, reached[BACKWARD], reached[STEP], reached[ZERO], around)

    # ---- reaching

    def _table(self, kind: str) -> dict[int, tuple[Call, Function] | Event]:
        """For each function that reaches an event of this kind: the event, or the next call on the way."""
        if kind in self._reach:
            return self._reach[kind]
        table: dict[int, tuple[Call, Function] | Event] = {}
        queue: list[Function] = []
        for function in self.graph.project.functions:
            events = [*events_of(function), *self._handed_over(function, function.own)]
            first = next((event for event in events if event.kind == kind), None)
            if first is not None:
                table[id(function)] = first
                queue.append(function)
        while queue:
            target = queue.pop(0)
            for call in self.graph.callers_of(target):
                if id(call.caller) not in table:
                    table[id(call.caller)] = (call, target)
                    queue.append(call.caller)
        self._reach[kind] = table
        return table

    def _hooked(self) -> Iterator[tuple[Function, Event]]:
        """Optimizer steps in functions that a backward pass calls: `p.register_post_accumulate_grad_hook(update)`."""
        for call in self.graph.hooks:
            for hook in call.targets:
                event = next((event for event in events_of(hook) if event.kind == STEP), None)
                if event is not None:
                    yield hook, event

    def _find(self, function: Function, kind: str) -> tuple[Event, Function, tuple[str, ...]] | None:
        """The event that a function reaches, the function it stands in, and the places passed."""
        table = self._table(kind)
        chain: list[str] = []
        while True:
            step = table.get(id(function))
            if step is None:
                return None
            if isinstance(step, Event):
                return step, function, tuple(chain)
            call, target = step
            chain.append(f"{call.caller.path}:{call.line} {target.qualified}")
            function = target

    def _calls(self, function: Function, nodes: list[ast.AST]) -> list[Call]:
        wanted = {id(node) for node in nodes}
        return [call for call in self.graph.calls_of(function) if id(call.node) in wanted]

    def _kinds(self, function: Function, nodes: list[ast.AST]) -> set[str]:
        kinds = {event.kind for event in [*events_in(nodes), *self._handed_over(function, nodes)]}
        if BACKWARD in kinds and any(True for _ in self._hooked()):
            kinds.add(STEP)
        for call in self._calls(function, nodes):
            exposed = {kind for target in call.targets for kind in self._exposed_by(call, target)}
            kinds |= exposed - {BACKWARD} if BACKWARD in exposed and self._off.at(call) else exposed
        return kinds

    def _exposed_by(self, call: Call, target: Function) -> frozenset[str]:
        """What a function exposes where this call runs it: `step(batch, train=False)` trains nothing."""
        whole = self.exposed(target)
        missing = not_run(target.body, constants_of(self.graph, call, target)) if whole else set()
        key = (id(target), frozenset(missing))
        if missing and key not in self._partly:
            self._partly[key] = frozenset()
            missing |= {id(node) for one in self._found[id(target)] for node in own_nodes([one.node])}
            nodes = [node for node in target.own if id(node) not in missing]
            self._partly[key] = frozenset(self._kinds(target, nodes)) & whole
        return self._partly[key] if missing else whole

    def _handed_over(self, function: Function, nodes: list[ast.AST]) -> list[Event]:
        """Events that an installed package makes with a loss and an optimizer of this code."""
        return handed_over(nodes, {id(call.node) for call in self.graph.calls_of(function)})

    def _reaches(self, function: Function, nodes: list[ast.AST], kind: str) -> Iterator[Reach]:
        for event in events_in(nodes):
            if event.kind == kind:
                yield Reach(event, function.path, function.qualified)
        if kind == STEP and any(event.kind == BACKWARD for event in events_in(nodes)):
            for hook, event in self._hooked():
                yield Reach(event, hook.path, hook.qualified, (f"{hook.path}:{hook.line} {hook.qualified}",))
        for event in self._handed_over(function, nodes):
            if event.kind == kind:
                there = f"{function.path}:{event.line} {event.receiver}"
                yield Reach(event, function.path, function.qualified, (there,))
        seen: set[int] = set()
        events = {id(event.node) for event in events_in(nodes)}
        for call in self._calls(function, nodes):
            if kind == BACKWARD and self._off.at(call):
                continue
            for target in call.targets:
                found = self._find(target, kind) if kind in self._exposed_by(call, target) else None
                if found is None or id(found[0].node) in seen:
                    continue
                if found[0].by_hand and id(call.node) in events:
                    continue  # `optimizer.step()` of a class at hand: what it does inside is the same step
                event, home, chain = found
                seen.add(id(event.node))
                first = f"{function.path}:{call.line} {target.qualified}"
                yield Reach(event, home.path, home.qualified, (first, *chain))


def _loops_in(body: list[ast.stmt], around: tuple[LoopNode, ...]) -> Iterator[tuple[LoopNode, tuple[LoopNode, ...]]]:
    """The outermost loops of some statements (not of nested functions), each with the loops around it."""
    for node in body:
        if isinstance(node, LoopNode):
            yield node, around
            yield from _loops_in(node.orelse, around)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for child in _suites(node):
                yield from _loops_in(child, around)


def _suites(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        suite = getattr(node, name, None)
        if suite:
            yield suite
    for handler in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
        yield handler.body
