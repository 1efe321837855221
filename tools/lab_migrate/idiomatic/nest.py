"""Epochs, batches and validation of one training, in the order in which they run, across the functions they stand in.

    main:   for epoch in range(n):          train:  model.train()                 test:  model.eval()
                train(model, loader)                for batch in loader: …               for batch in loader: …
                test(model, val_loader)             print(mean)                          print(mean)

becomes: before, the batches' loop, between, the validation's loop, after.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import attrs

from lab_migrate.analysis import CallGraph, TrainingLoop
from lab_migrate.analysis.calls import Call
from lab_migrate.analysis.events import events_in
from lab_migrate.analysis.symbols import Function, dotted, own_nodes
from lab_migrate.idiomatic.frame import Frame, Item
from lab_migrate.idiomatic.refused import NotIdiomaticError

_BARS = ("tqdm", "tqdm.tqdm", "tqdm.auto.tqdm", "trange", "track", "progress_bar", "tqdm.notebook.tqdm")
_NO_GRAD = ("torch.no_grad", "torch.inference_mode", "no_grad", "inference_mode")


@attrs.define(eq=False)
class Batches:
    """A loop over a loader. `index` is the counter's name (empty: none), which begins at `start`."""

    frame: Frame
    node: ast.For
    loader: ast.expr
    target: ast.expr
    index: str
    start: int
    bar: bool


@attrs.define(eq=False)
class Nest:
    """One training."""

    training: TrainingLoop
    base: Frame
    epochs: ast.For
    epoch: str
    first: ast.expr | None
    stop: ast.expr
    train: Batches
    before: list[Item]
    between: list[Item]
    validation: Batches | None
    after: list[Item]
    #: Calls of the base frame whose functions were taken apart.
    calls: list[tuple[Call, Frame]]

    @property
    def items(self) -> list[Item]:
        """Everything outside the two loops."""
        return [*self.before, *self.between, *self.after]

    @property
    def frames(self) -> list[Frame]:
        """Each once, the base first."""
        return [self.base, *(frame for _, frame in self.calls)]


def find_nest(training: TrainingLoop, graph: CallGraph) -> Nest:
    """The nest around a training loop. Raises `NotIdiomaticError`."""
    loop, owner = training.node, training.owner
    if not isinstance(loop, ast.For):
        raise _shape(owner, loop, "its batches come from no `for` over a loader")
    if training.around:
        if len(training.around) > 1:
            raise _shape(owner, loop, f"{len(training.around)} loops stand around it")
        base = Frame(owner)
        _not_handed_on(owner, graph)
        return _Reader(graph, training, base, training.around[0], None).read()
    _not_handed_on(owner, graph)
    callers = [call for call in graph.callers_of(owner) if call.direct and isinstance(call.node, ast.Call)]
    if len(callers) != 1:
        raise _shape(owner, loop, f"its function is called from {len(callers)} places")
    call = callers[0]
    _not_handed_on(call.caller, graph)
    epochs = _loop_around(call.caller, call.node)
    if epochs is None:
        raise _shape(call.caller, call.node, "no loop over epochs calls it")
    return _Reader(graph, training, Frame(call.caller), epochs, call).read()


def _not_handed_on(function: Function, graph: CallGraph) -> None:
    """A function that a process, a thread or a launcher is given runs in a place of its own."""
    for call in graph.callers_of(function):
        if not call.direct:
            raise _shape(call.caller, call.node, f"{function.qualified} is handed on, perhaps to another process")


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
        first, stop = _range_of(epochs, self.base)
        assert isinstance(epochs, ast.For)
        assert isinstance(epochs.target, ast.Name)
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
            raise _shape(self.base.function, epochs, "the batches' loop is not a plain statement of the epoch")
        if validation is None:
            after, between = between, []
        nest = Nest(
            self.training, self.base, epochs, epochs.target.id, first, stop, train, before, between, validation, after,
            self.calls,
        )  # fmt: skip
        _no_jumps(nest)
        return nest

    def _expanded(self, node: ast.stmt, may_validate: bool) -> Iterator[Item | Batches]:
        """A statement of the epoch: itself, or what the function that it calls does."""
        if node is self.training.node:
            yield batches_of(self.base, self.training.node)
            return
        if may_validate and (loop := _validating(node, self.base)) is not None:
            yield loop
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
        if function.path != self.base.function.path or function.cls is not None:
            return None
        if len(self.graph.callers_of(function)) != 1 or any(event for event in events_in(function.own)):
            return None
        frame = _frame(found[0], self.base)
        loops = [loop for node in function.body if (loop := _validating(node, frame)) is not None]
        if len(loops) != 1 or _returns_early(function):
            return None
        return found[0]

    def _taken_apart(self, node: ast.stmt, call: Call, validates: bool | None) -> Iterator[Item | Batches]:
        function = call.targets[0]
        if _returns_early(function):
            raise _shape(function, function.node, "it returns before its end")
        if function.path != self.base.function.path:
            raise _shape(function, function.node, "the epochs are counted in another file")
        frame = _frame(call, self.base)
        self.calls.append((call, frame))
        for statement in _without_docstring(function.body):
            if statement is self.training.node:
                yield batches_of(frame, self.training.node)
            elif validates and (loop := _validating(statement, frame)) is not None:
                yield loop
            elif isinstance(statement, ast.Return):
                if statement.value is not None and isinstance(node, ast.Assign):
                    if len(node.targets) != 1:
                        raise _shape(self.base.function, node, "its result has two names")
                    yield Item(frame, statement, node.targets[0], self.base)
                elif statement.value is not None and any(
                    isinstance(inner, ast.Call) for inner in ast.walk(statement.value)
                ):
                    raise _shape(function, statement, "what it returns is computed and thrown away")
            else:
                yield Item(frame, statement)


def _frame(call: Call, base: Frame) -> Frame:
    node = call.node
    assert isinstance(node, ast.Call)
    function = call.targets[0]
    parameters = list(function.parameters)
    arguments: dict[str, ast.expr] = {}
    if function.cls is not None and not function.is_static and isinstance(node.func, ast.Attribute):
        arguments[parameters.pop(0)] = node.func.value
    if any(isinstance(arg, ast.Starred) for arg in node.args) or any(word.arg is None for word in node.keywords):
        raise _shape(base.function, node, "its arguments are passed with a star")
    if not isinstance(function.node, ast.FunctionDef) or function.node.args.vararg or function.node.args.kwarg:
        raise _shape(function, function.node, "it takes any arguments")
    arguments |= dict(zip(parameters, node.args, strict=False))
    arguments |= {word.arg: word.value for word in node.keywords if word.arg}
    positional = [arg.arg for arg in [*function.node.args.posonlyargs, *function.node.args.args]]
    defaults = dict(zip(reversed(positional), reversed(function.node.args.defaults), strict=False))
    named = zip(function.node.args.kwonlyargs, function.node.args.kw_defaults, strict=True)
    defaults |= {arg.arg: value for arg, value in named if value is not None}
    for name, value in defaults.items():
        if name not in arguments:
            if not isinstance(value, ast.Constant):
                raise _shape(function, function.node, f"the default of {name} is no constant")
            arguments[name] = value
    frame = Frame(function, base, arguments)
    reassigned = sorted(
        {node.id for node in function.own if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        & set(arguments)
    )
    if reassigned:
        raise _shape(function, function.node, f"it gives its parameter {reassigned[0]} another value")
    return frame


def batches_of(frame: Frame, node: ast.stmt) -> Batches:
    """What a `for` over a loader iterates over. Raises `NotIdiomaticError`."""
    if not isinstance(node, ast.For) or node.orelse:
        raise _shape(frame.function, node, "it is no plain `for`")
    source, target, index, start, bar = node.iter, node.target, "", 0, False
    while isinstance(source, ast.Call) and source.args:
        name = dotted(source.func)
        if name == "enumerate" and not index and isinstance(target, ast.Tuple) and len(target.elts) == 2:
            counter = target.elts[0]
            begin = source.args[1] if len(source.args) > 1 else next((word.value for word in source.keywords), None)
            if not isinstance(counter, ast.Name) or (begin is not None and not _is_int(begin)):
                raise _shape(frame.function, node, "it is counted in a way that cannot be told")
            index, target = counter.id, target.elts[1]
            start = begin.value if isinstance(begin, ast.Constant) and isinstance(begin.value, int) else 0
        elif name in _BARS:
            bar = True
        else:
            break
        source = source.args[0]
    if not dotted(source):
        raise NotIdiomaticError(
            "LM304", frame.module.path, node, f"its batches come from {ast.unparse(source)[:60]}, which is no loader",
            "iterate over a DataLoader that has a name",
        )  # fmt: skip
    return Batches(frame, node, source, target, index, start, bar)


def _validating(node: ast.stmt, frame: Frame) -> Batches | None:
    """A loop over a loader, perhaps under `no_grad`, that runs something on each batch and trains nothing."""
    while isinstance(node, ast.With) and len(node.body) == 1 and len(node.items) == 1:
        context = node.items[0].context_expr
        if node.items[0].optional_vars is not None or not isinstance(context, ast.Call):
            return None
        if dotted(context.func) not in _NO_GRAD:
            return None
        node = node.body[0]
    if not isinstance(node, ast.For):
        return None
    try:
        found = batches_of(frame, node)
    except NotIdiomaticError:
        return None
    inner = own_nodes(node.body)
    if events_in(inner) or any(isinstance(one, ast.Return | ast.Yield | ast.Global | ast.Nonlocal) for one in inner):
        return None
    runs = any(isinstance(one, ast.Call) and isinstance(one.func, ast.Name | ast.Attribute) for one in inner)
    loads = "load" in dotted(found.loader).lower() or "data" in dotted(found.loader).lower()
    loads = loads or "load" in frame.canonical(found.loader).lower()
    return found if runs and loads else None


def _range_of(epochs: ast.stmt, frame: Frame) -> tuple[ast.expr | None, ast.expr]:
    if isinstance(epochs, ast.For) and isinstance(epochs.target, ast.Name) and not epochs.orelse:
        source = epochs.iter
        while isinstance(source, ast.Call) and dotted(source.func) in _BARS and source.args:
            source = (
                source.args[0]
                if dotted(source.func) != "trange"
                else ast.Call(ast.Name("range", ast.Load()), source.args, [])
            )
        if isinstance(source, ast.Call) and dotted(source.func) == "range" and not source.keywords:
            if len(source.args) == 1:
                return None, source.args[0]
            if len(source.args) == 2:
                return source.args[0], source.args[1]
    raise _shape(frame.function, epochs, "the loop around it counts no epochs with `range`")


def _no_jumps(nest: Nest) -> None:
    for item in nest.items:
        for node in own_nodes([item.node]):
            if isinstance(node, ast.Return) and item.result is not None:
                continue
            if isinstance(node, ast.Global) and nest.base.is_script:
                continue
            if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom | ast.Await | ast.Global | ast.Nonlocal):
                raise _shape(item.frame.function, node, f"`{type(node).__name__.lower()}` in the epoch")
            if isinstance(node, ast.Break | ast.Continue) and not in_inner_loop([item.node], node):
                if isinstance(node, ast.Break) and item in nest.after and item.frame is nest.base:
                    continue
                raise _shape(item.frame.function, node, f"`{type(node).__name__.lower()}` in the epoch")


def in_inner_loop(body: list[ast.stmt], jump: ast.AST) -> bool:
    """Whether a `break` or `continue` among some statements belongs to a loop among them."""
    return any(
        isinstance(node, ast.For | ast.While) and any(one is jump for part in node.body for one in ast.walk(part))
        for node in own_nodes(body)
    )


def _returns_early(function: Function) -> bool:
    returns = [node for node in function.own if isinstance(node, ast.Return)]
    return any(node is not function.body[-1] for node in returns)


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


def _is_int(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def _shape(function: Function, node: ast.AST, reason: str) -> NotIdiomaticError:
    return NotIdiomaticError(
        "LM302", function.path, node, reason,
        "write epochs as `for epoch in range(n)` around one plain loop over a loader, or keep the faithful way",
    )  # fmt: skip
