"""Reading a nest: from the training loop outwards to the epochs, and from there in the order in which it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.analysis import CallGraph, TrainingLoop
from lab_migrate.analysis.calls import Call
from lab_migrate.analysis.events import events_in
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.bars import bar_around
from lab_migrate.idiomatic.batches import Batches, batches_of, validating
from lab_migrate.idiomatic.called import frame_of, refuse_other_mentions, returns_early
from lab_migrate.idiomatic.changing import changed_elsewhere, changing_in
from lab_migrate.idiomatic.counted import counted_nest, refuse_other_counts, stands_alone
from lab_migrate.idiomatic.ends import stops_of
from lab_migrate.idiomatic.epochs import epochs_of, refuse_moving_start, refuse_start_moved_elsewhere
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.group import spawned
from lab_migrate.idiomatic.nest import Nest, in_inner_loop
from lab_migrate.idiomatic.quiet import is_quiet_call
from lab_migrate.idiomatic.refused import NotIdiomaticError, no_nest
from lab_migrate.idiomatic.steps import pulls_batches, step_nest


def find_nest(training: TrainingLoop, graph: CallGraph) -> Nest:
    """The nest around a training loop. Raises `NotIdiomaticError`."""
    loop, owner = training.node, training.owner
    if pulls_batches(loop):
        _not_handed_on(owner, graph)
        return _completed(step_nest(training, graph), graph)
    if stands_alone(training, graph):
        _not_handed_on(owner, graph)
        return _completed(counted_nest(training), graph)
    if not isinstance(loop, ast.For):
        raise no_nest(owner, loop, "its batches come from no `for` over a loader")
    if training.around:
        if len(training.around) > 1:
            raise no_nest(owner, loop, f"{len(training.around)} loops stand around it")
        base = Frame(owner)
        _not_handed_on(owner, graph)
        return _Reader(graph, training, base, training.around[0], None).read()
    _not_handed_on(owner, graph)
    if isinstance(owner.node, ast.Module):
        raise no_nest(owner, loop, "no loop over epochs stands around it")
    callers = [call for call in graph.callers_of(owner) if call.direct and isinstance(call.node, ast.Call)]
    if len(callers) != 1:
        many = f"its function is called from {len(callers)} places"
        raise no_nest(owner, loop, many if callers else "nothing in the project calls its function directly")
    call = callers[0]
    _not_handed_on(call.caller, graph)
    epochs = _loop_around(call.caller, call.node)
    if epochs is None:
        around = [one for one in call.caller.own if isinstance(one, ast.For | ast.While) and call.node in ast.walk(one)]
        within = f"the loop at line {around[-1].lineno} calls it within another statement" if around else ""
        raise no_nest(call.caller, call.node, within or "no loop over epochs calls it")
    return _Reader(graph, training, Frame(call.caller), epochs, call).read()


def _completed(nest: Nest, graph: CallGraph) -> Nest:
    """With what is told of the whole of it."""
    refuse_start_moved_elsewhere(nest, graph)
    changing = changing_in(nest, graph)
    for loop in filter(None, (nest.train, nest.validation)):
        loop.changing = changing
    nest.stops = stops_of(nest, changed_elsewhere(nest, graph))
    return nest


#: Command lines: they call a program's main function, once, where they are called.
_CALLS_AT_ONCE = frozenset(["absl.app.run", "fire.Fire", "jsonargparse.CLI", "jsonargparse.auto_cli", "typer.run"])


def _not_handed_on(function: Function, graph: CallGraph) -> None:
    """A function that a process, a thread or a launcher is given runs in a place of its own."""
    for call in graph.callers_of(function):
        if call.direct or spawned(function, graph):
            continue
        taker = _taker(call)
        if taker not in _CALLS_AT_ONCE:
            to = f"handed to {taker}" if taker else "handed on"
            raise no_nest(call.caller, call.node, f"{function.qualified} is {to}, perhaps to another process")


def _taker(call: Call) -> str:
    """The full name of what a function is handed to, if it has one."""
    imports = call.caller.module.symbols.imports
    for node in call.caller.own:
        if isinstance(node, ast.Call) and call.node in [*node.args, *(word.value for word in node.keywords)]:
            head, dot, rest = dotted(node.func).partition(".")
            return f"{imports.get(head, head)}{dot}{rest}"
    return ""


class _Reader:
    def __init__(
        self, graph: CallGraph, training: TrainingLoop, base: Frame, epochs: ast.stmt, call: Call | None
    ) -> None:
        self.graph = graph
        self.training = training
        self.base = base
        self.epochs = epochs
        self.call = call
        self.calls: list[tuple[Call, Frame]] = []

    def read(self) -> Nest:
        epochs = self.epochs
        header = epochs_of(epochs, self.base)
        assert isinstance(epochs, ast.For | ast.While)
        refuse_moving_start(header, self.base, [epochs, self.training.node])
        before: list[Item] = []
        between: list[Item] = []
        after: list[Item] = []
        train: Batches | None = None
        validation: Batches | None = None
        for node in epochs.body:
            for item in self._expanded(node, train is not None and validation is None):
                if isinstance(item, Batches):
                    if item.node is self.training.node:
                        train = item
                    else:
                        validation = item
                elif train is None:
                    before.append(item)
                elif validation is None:
                    between.append(item)
                else:
                    after.append(item)
        if train is None:
            raise no_nest(self.base.function, epochs, "the batches' loop is not a plain statement of the epoch")
        if train.is_counted:
            refuse_other_counts(train, [*before, *between, *after])
        _bars_of_their_own(train, validation, before, between, after)
        if validation is None:
            after, between = between, []
        after += header.last_lines(self.base)
        nest = Nest(
            self.training, self.base, epochs, header.name, header.first, header.stop, train, before, between,
            validation, after, self.calls, test=header.test, bar=header.bar,
        )  # fmt: skip
        _no_jumps(nest)
        return _completed(nest, self.graph)

    def _expanded(self, node: ast.stmt, may_validate: bool) -> Iterator[Item | Batches]:
        """A statement of the epoch: itself, or what the function that it calls does."""
        if node is self.training.node:
            yield batches_of(self.base, self.training.node)
            return
        if may_validate and (loop := validating(node, self.base)) is not None:
            yield loop
            return
        bar = bar_around(node, self.base)
        if bar is not None and isinstance(node, ast.With) and self._holds(node, self.base, may_validate):
            yield bar.opened()
            for inner in node.body:
                yield from self._expanded(inner, may_validate)
            yield bar.closed()
            return
        called = _called(node)
        if called is not None and self.call is not None and called is self.call.node:
            yield from self._taken_apart(node, self.call, None)
            return
        if called is not None and may_validate:
            target = self._validation_function(called)
            if target is not None:
                yield from self._taken_apart(node, target, True)
                return
        yield Item(self.base, node)

    def _validation_function(self, called: ast.Call) -> Call | None:
        """A call of a function whose one loop over a loader runs a model, and that nothing else calls."""
        found = [call for call in self.graph.calls_of(self.base.function) if call.node is called]
        if not found or len(found[0].targets) != 1:
            return None
        function = found[0].targets[0]
        if function.path != self.base.function.path:
            return None
        if function.cls is not None and function.cls is not self.base.function.cls:
            return None
        if len(self.graph.callers_of(function)) != 1 or any(event for event in events_in(function.own)):
            return None
        try:
            refuse_other_mentions(found[0])
            frame = frame_of(found[0], self.base, validates=True)
        except NotIdiomaticError:
            return None  # it is called as before
        loops = [loop for node in function.body if (loop := validating(node, frame)) is not None]
        if len(loops) != 1 or returns_early(function):
            return None
        return found[0]

    def _taken_apart(self, node: ast.stmt, call: Call, validates: bool | None) -> Iterator[Item | Batches]:
        function = call.targets[0]
        if returns_early(function):
            raise no_nest(function, function.node, "it returns before its end")
        if function.path != self.base.function.path:
            raise no_nest(function, function.node, "the epochs are counted in another file")
        refuse_other_mentions(call)
        frame = frame_of(call, self.base, validates=bool(validates))
        self.calls.append((call, frame))
        yield from self._statements(_without_docstring(function.body), node, function, frame, validates)

    def _holds(self, node: ast.With, frame: Frame, may_validate: bool | None) -> bool:
        """Whether a loop that becomes a hook stands right in this statement."""
        return any(
            one is self.training.node or (may_validate and validating(one, frame) is not None) for one in node.body
        )

    def _statements(
        self, body: list[ast.stmt], node: ast.stmt, function: Function, frame: Frame, validates: bool | None
    ) -> Iterator[Item | Batches]:
        """What a function does that is called by `node` in the epoch."""
        for statement in body:
            bar = bar_around(statement, frame)
            if bar is not None and isinstance(statement, ast.With) and self._holds(statement, frame, validates):
                yield bar.opened()
                yield from self._statements(statement.body, node, function, frame, validates)
                yield bar.closed()
            elif statement is self.training.node:
                yield batches_of(frame, self.training.node)
            elif validates and (loop := validating(statement, frame)) is not None:
                yield loop
            elif isinstance(statement, ast.Return):
                if statement.value is not None and isinstance(node, ast.Assign):
                    if len(node.targets) != 1:
                        raise no_nest(self.base.function, node, "its result has two names")
                    yield Item(frame, statement, node.targets[0], self.base)
                elif statement.value is not None and any(
                    isinstance(inner, ast.Call) and not is_quiet_call(inner) for inner in ast.walk(statement.value)
                ):
                    raise no_nest(function, statement, "what it returns is computed and thrown away")
            else:
                yield Item(frame, statement)


def _bars_of_their_own(
    train: Batches, validation: Batches | None, before: list[Item], between: list[Item], after: list[Item]
) -> None:
    """Bars that a loop iterates over by their names are opened above it, told how long it is, and closed below."""
    for loop, above, below in ((train, before, between), (validation, between, after)):
        bar = loop.drawn if loop is not None else None
        if loop is None or bar is None:
            continue
        places = [at for at, item in enumerate(above) if item.node is bar.made or item.is_of(bar.name)]
        if len(places) != 1:
            raise no_nest(loop.frame.function, loop.node, f"its progress bar {bar.name.id} is made elsewhere")
        above[places[0] : places[0] + 1] = [] if bar.is_silent else [bar.opened(loop.loader)]
        below[:] = [item for item in below if not item.is_of(bar.name)]
        if not bar.is_silent:
            below.insert(0, bar.closed())


def _no_jumps(nest: Nest) -> None:
    for item in nest.items:
        for node in own_nodes([item.node]):
            if isinstance(node, ast.Return) and item.result is not None:
                continue
            if isinstance(node, ast.Global) and (nest.base.is_script or not nest.base.bound & set(node.names)):
                continue
            if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom | ast.Await | ast.Global | ast.Nonlocal):
                raise no_nest(item.frame.function, node, f"`{type(node).__name__.lower()}` in the epoch")
            if isinstance(node, ast.Break | ast.Continue) and not in_inner_loop([item.node], node):
                if isinstance(node, ast.Break) and item in nest.after and item.frame is nest.base:
                    continue
                raise no_nest(item.frame.function, node, f"`{type(node).__name__.lower()}` in the epoch")


def _called(node: ast.stmt) -> ast.Call | None:
    value = node.value if isinstance(node, ast.Expr | ast.Assign) else None
    return value if isinstance(value, ast.Call) else None


def _loop_around(function: Function, call: ast.AST) -> ast.stmt | None:
    """The innermost loop of a function one of whose statements is this call."""
    for node in function.own:
        if isinstance(node, ast.For | ast.While):
            for statement in node.body:
                if _called(statement) is call:
                    return node
    return None


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return body[1:]
    return body
